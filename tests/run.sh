#!/usr/bin/env bash
# Runs every test, on a machine that has Rust and apt-get: first all of them, then those of the
# program once more with its ledger in MariaDB instead of SQLite, but for those that bring their own.
# Arguments go to `cargo test`, and there is no second run then: CAM_TEST_LEDGER=mariadb chooses the
# ledger.
#
# What is missing is installed: beside what tests/packages.sh names, a MariaDB server, of which the
# tests start their own, openssl, which makes its certificate, and systemd-analyze, which checks the
# units.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/packages.sh
PATH=$PATH:/usr/sbin
# The core: it has the server but no service that would be started.
has mariadbd && has mariadb-install-db || missing+=(mariadb-server-core mariadb-client-core)
has openssl || missing+=(openssl)
has systemd-analyze || missing+=(systemd)
install_missing
# Most of the time of a test of the binary is waiting for it.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-8}"
cargo test --workspace --locked "$@"
if [ $# -eq 0 ]; then
  export CAM_TEST_LEDGER=mariadb
  cargo test --locked --test program -- --skip database:: --skip lease::
fi
