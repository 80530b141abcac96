# shellcheck shell=bash
# Read by the scripts beside it: installs what is missing, on a machine that has apt-get.

missing=()
has() { command -v "$1" >/dev/null; }

# The C compiler that SQLite is built with, and the CA certificates that the HTTP client asks for.
has cc || missing+=(gcc libc6-dev)
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)

install_missing() {
  [ ${#missing[@]} -eq 0 ] ||
    { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; }
}
