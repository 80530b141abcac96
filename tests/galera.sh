#!/usr/bin/env bash
# Races on a Galera cluster, run by hand: `tests/galera.sh [ROUNDS]`, 200 rounds by default.
#
# Starts three MariaDB nodes on 127.0.0.1 that replicate with Galera, in a directory of its own that
# it removes at the end. In each round three processes of the release binary ($BIN; target/release
# by default) start a pass at the same moment, each on another node. Exactly one may have the lease;
# the others must exit 75 without a request to anybody; the fencing tokens must rise by one. The
# rounds are run twice: with one clock, and with the clock of the second node a minute ahead and
# that of the third a minute behind.
#
# Needs Debian's mariadb-server, galera-4, rsync and libfaketime, and cargo. Ports 14567 to 14599 must
# be free.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin
rounds=${1:-200}
bin=${BIN:-target/release/coreos-artifactory-monitor}
wsrep=/usr/lib/galera/libgalera_smm.so

missing=()
for tool in mariadbd mariadb-install-db mariadb rsync cargo; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
[ -e "$wsrep" ] || missing+=(galera-4)
# Preloaded, not run: the faketime command stays between us and the server.
faketime=$(find /usr/lib -path '*/faketime/libfaketimeMT.so.1' -print -quit)
[ -n "$faketime" ] || missing+=(libfaketime)
[ -x "$bin" ] || missing+=("$bin (cargo build --release --locked)")
if [ ${#missing[@]} -gt 0 ]; then
  printf 'galera.sh: missing: %s\n' "${missing[@]}" >&2
  exit 2
fi
cargo build --quiet --locked -p simulator --bin race
race=${CARGO_TARGET_DIR:-target}/debug/race

dir=$(mktemp -d)
# The rsync of a node that root runs would give up its rights and could not write.
user=()
[ "$(id -u)" -ne 0 ] || user=(--user=nobody)
chmod 755 "$dir"
pids=()
stop_nodes() {
  # What the shell says of jobs that were killed goes to standard error.
  { [ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" || true; wait; } 2>/dev/null
  pids=()
}
trap 'stop_nodes; rm -rf -- "$dir"' EXIT
trap 'exit 130' INT TERM

# sql NODE STATEMENT
sql() { mariadb --no-defaults -uroot -S "$dir/$1/socket" -N -B -e "$2" 2>/dev/null; }

# start NODE CLOCK: the first node founds the cluster, the others fetch its data.
start() {
  local node=$1 clock=() first=()
  [ "$2" = 0 ] ||
    clock=(env "LD_PRELOAD=$faketime" "FAKETIME=$2" FAKETIME_DONT_FAKE_MONOTONIC=1)
  [ "$node" != 1 ] || first=(--wsrep-new-cluster)
  local port=$((14560 + 10 * node))
  "${clock[@]}" mariadbd --no-defaults --datadir="$dir/$node/data" --socket="$dir/$node/socket" \
    --pid-file="$dir/$node/pid" --bind-address=127.0.0.1 --port=$port --skip-name-resolve \
    --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --innodb-autoinc-lock-mode=2 \
    --binlog-format=ROW --innodb-use-native-aio=OFF \
    --wsrep-on=ON --wsrep-provider=$wsrep --wsrep-cluster-name=races \
    --wsrep-cluster-address="gcomm://127.0.0.1:14571,127.0.0.1:14581,127.0.0.1:14591" \
    --wsrep-node-address="127.0.0.1:$((port + 1))" --wsrep-node-name="node$node" \
    --wsrep-provider-options="gmcast.listen_addr=tcp://127.0.0.1:$((port + 1));ist.recv_addr=127.0.0.1:$((port + 2));gcache.size=32M" \
    --wsrep-sst-method=rsync --wsrep-sst-receive-address="127.0.0.1:$((port + 3))" \
    "${user[@]}" "${first[@]}" >>"$dir/$node/log" 2>&1 &
  pids+=($!)
  for _ in $(seq 300); do
    [ "$(sql "$node" "SHOW STATUS LIKE 'wsrep_ready'" || true)" != "wsrep_ready	ON" ] || return 0
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.2
  done
  echo "galera.sh: node $node does not come up:" >&2
  tail -n 15 "$dir/1/log" "$dir/$node/log" >&2
  exit 1
}

# races NAME CLOCK...: a new cluster with these clocks, and the rounds on it.
races() {
  local name=$1 node
  shift
  for node in 1 2 3; do
    rm -rf "${dir:?}/$node"
    mkdir -p "$dir/$node/data"
    [ ${#user[@]} -eq 0 ] || chown -R nobody "$dir"
    [ "$node" != 1 ] || mariadb-install-db --no-defaults --rpm --skip-test-db \
      --datadir="$dir/1/data" --auth-root-authentication-method=normal \
      --innodb-log-file-size=8M "${user[@]}" >/dev/null 2>&1
    start "$node" "${!node}"
  done
  sql 1 "CREATE USER cam@'%' IDENTIFIED BY 'race'; CREATE DATABASE cam;
         GRANT ALL ON cam.* TO cam@'%'"
  echo "== $name: $(sql 1 "SHOW STATUS LIKE 'wsrep_cluster_size'" | tr '\t' ' ')"
  for node in 1 2 3; do
    echo "node $node: $(sql "$node" "SELECT VERSION(), UTC_TIMESTAMP()" | tr '\t' ' ')"
  done
  until [ -n "$(sql 3 "SHOW DATABASES LIKE 'cam'")" ]; do sleep 0.1; done
  "$race" "$bin" "$rounds" "cam:race@tcp(127.0.0.1:14570)/cam" "cam:race@tcp(127.0.0.1:14580)/cam" \
    "cam:race@tcp(127.0.0.1:14590)/cam"
  stop_nodes
}

races "one clock" 0 0 0
races "clocks a minute apart" 0 +60s -60s
