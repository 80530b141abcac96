#!/usr/bin/env bash
# Tests the status page of `serve` in a real browser, Debian's Chromium without a screen. What is
# missing is installed, on a machine that has apt-get. `tests/page.sh DIR` also writes pictures of the
# page into DIR.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/packages.sh
has chromium || missing+=(chromium)
install_missing
if [ $# -gt 0 ]; then
  mkdir -p "$1"
  CAM_TEST_PICTURES=$(realpath "$1")
  export CAM_TEST_PICTURES
fi
cargo test --locked --test program serve::page:: -- --ignored --test-threads=2
