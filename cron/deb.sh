#!/bin/sh
# Builds the Debian package, with units, manual, completions and licences: cron/deb.sh
# Needs cargo-deb (cargo install cargo-deb --locked). The package is the last line of the output.
set -eu
cd "$(dirname "$0")/.."
name=coreos-artifactory-monitor
release="${CARGO_TARGET_DIR:-target}/release"
# Where Cargo.toml looks for what is made here.
made=target/package

cargo build --release --locked
rm -rf "$made"
mkdir -p "$made/completions"
"$release/$name" man --directory "$made/man"
for shell in bash zsh fish; do
  "$release/$name" completions "$shell" > "$made/completions/$shell"
done
cron/licences.sh > "$made/copyright"
# The function names stay, for CPU profiles.
cargo deb --no-build --no-strip --locked
