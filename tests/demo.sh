#!/bin/sh
# Builds the program and shows it at work against a loopback Artifactory and a loopback coreos-deploy.
set -eu
cd "$(dirname "$0")/.."
cargo build --release --locked
cargo run -q --release --locked -p simulator --bin demo -- \
    "${CARGO_TARGET_DIR:-target}/release/coreos-artifactory-monitor"
