#!/usr/bin/env bash
# Runs the two commands that README.md begins with (`tests/demo.sh` and `tests/run.sh`) on a bare
# Debian, by hand: `tests/bare.sh` as root, from half an hour to an hour. What they need and neither
# have nor install makes them fail here, and only here.
#
# The machine is one that debootstrap makes, with the packages of its variant minbase and nothing
# else, in a directory under $TMPDIR (/var/tmp by default; 8 GiB) that is removed at the end. Its
# release, its package sources, its proxies and its certificate authorities are those of this
# machine, and so is its Rust: the toolchain that `rustc` is here, read-only. It gets a clone of
# HEAD; what is not committed is not in it.
#
# Needs Debian, debootstrap, git, cargo, and the right to make namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  printf 'bare.sh: %s\n' "$*" >&2
  exit 1
}
[ "$(id -u)" -eq 0 ] || fail "run it as root: debootstrap and chroot need it"
for tool in debootstrap git rustc unshare; do
  command -v "$tool" >/dev/null || fail "missing: $tool"
done
# A block of the README that is nothing but a script of this folder is one of its commands.
mapfile -t commands < <(sed -n '/^```sh$/{n;/^tests\/[a-z]*\.sh$/{h;n;/^```$/{x;p}}}' README.md)
[ ${#commands[@]} -eq 2 ] || fail "README.md has not two commands but: ${commands[*]}"

base=$(mktemp -d -p "${TMPDIR:-/var/tmp}" cam-bare.XXXXXXXX)
machine=$base/root
inside=
# Mounts and processes are in namespaces: they go with the first process in there.
clear_up() {
  [ -z "$inside" ] || { kill -KILL "$inside" && wait "$inside"; } 2>/dev/null || true
  for _ in 1 2 3 4 5; do
    rm -rf --one-file-system -- "$base" && break
    sleep 1
  done
}
trap clear_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Where apt-get gets the packages of this release from.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
  sed -n "s/^$release //p" | head -n 1)
[ -n "$mirror" ] || fail "apt-get has no source for $release"
# What it mounts goes with it, in whatever way it ends.
unshare --mount debootstrap --variant=minbase "$release" "$machine" "$mirror"

# How this machine gets at packages and libraries.
for part in sources.list sources.list.d auth.conf.d preferences.d keyrings trusted.gpg.d; do
  [ ! -e "/etc/apt/$part" ] || cp -RL "/etc/apt/$part" "$machine/etc/apt/"
done
apt-config dump | grep -E '^Acquire::(https?::|Retries|Check-)' >"$machine/etc/apt/apt.conf" || true
for part in /usr/share/keyrings /usr/local/share/ca-certificates; do
  [ ! -d "$part" ] || { mkdir -p "$machine$part" && cp -RL "$part/." "$machine$part"; }
done
cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
mkdir -p "$machine/root/.cargo"
for file in config config.toml credentials.toml; do
  file=${CARGO_HOME:-$HOME/.cargo}/$file
  [ ! -e "$file" ] || cp -L "$file" "$machine/root/.cargo/"
done
kept=()
while IFS= read -r -d '' setting; do
  case ${setting%%=*} in
    http_proxy | https_proxy | no_proxy | all_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | \
      ALL_PROXY | CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTRIES_* | SSL_CERT_FILE | SSL_CERT_DIR | \
      RUST_TEST_THREADS) kept+=("$setting") ;;
  esac
done < <(env -0)

git clone --quiet --depth 1 "file://$PWD" "$machine/project"
mkdir "$machine/rust"
export machine
toolchain=$(rustc --print sysroot)
for command in "${commands[@]}"; do
  echo "bare.sh: $command"
  unshare --mount --pid --fork --kill-child sh -euc '
    mount --bind -o ro "$1" "$machine/rust"
    mount -t proc proc "$machine/proc"
    mount --rbind /sys "$machine/sys"
    mount --rbind /dev "$machine/dev"
    shift
    exec chroot "$machine" /usr/bin/env -i --chdir=/project "$@"
  ' sh "$toolchain" "${kept[@]}" HOME=/root DEBIAN_FRONTEND=noninteractive \
    PATH=/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "$command" </dev/null &
  inside=$!
  code=0
  wait "$inside" || code=$?
  inside=
  [ "$code" -eq 0 ] || fail "$command: exit code $code"
done
echo "bare.sh: both pass"
