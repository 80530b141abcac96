#!/usr/bin/env bash
# Runs every test, on a machine that has Rust and apt-get: first all of them, then those of the
# program once more with its ledger in MariaDB instead of SQLite. Arguments go to `cargo test`, and
# there is no second run then: CAM_TEST_LEDGER=mariadb chooses the ledger.
#
# What is missing is installed: the C compiler that SQLite is built with, the CA certificates that
# the HTTP client asks for, a MariaDB server, of which the tests start their own, openssl, which
# makes its certificate, and systemd-analyze, which checks the units.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
# The core: it has the server but no service that would be started.
command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null ||
  missing+=(mariadb-server-core mariadb-client-core)
command -v openssl >/dev/null || missing+=(openssl)
command -v systemd-analyze >/dev/null || missing+=(systemd)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"
fi
# Most of the time of a test of the binary is waiting for it.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-8}"
cargo test --workspace --locked "$@"
if [ $# -eq 0 ]; then
  export CAM_TEST_LEDGER=mariadb
  cargo test --locked --test crash --test deploys --test faults --test hostile --test scale \
    --test secrets --test terminal
fi
