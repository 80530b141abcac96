#!/usr/bin/env bash
# Builds the program and shows it at work against a loopback Artifactory and a loopback coreos-deploy.
# Installs a C compiler and CA certificates where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/packages.sh
install_missing
cargo build --release --locked
cargo run -q --release --locked -p simulator --bin demo -- \
    "${CARGO_TARGET_DIR:-target}/release/coreos-artifactory-monitor"
