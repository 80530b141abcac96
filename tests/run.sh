#!/usr/bin/env bash
# Runs every test, on a machine that has Rust and apt-get: installs the C compiler that SQLite is
# built with and the CA certificates that the HTTP client asks for, where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"
fi
# Most of the time of a test of the binary is waiting for it.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-8}"
exec cargo test --workspace --locked "$@"
