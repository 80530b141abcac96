#!/bin/sh
# Prints the licence of the program and of every library that is built into it, with their texts, as
# what is distributed must carry them: cron/licences.sh > copyright
set -eu
cd "$(dirname "$0")/.."
sources="${CARGO_HOME:-$HOME/.cargo}/registry/src"
texts="$(mktemp -d)"
trap 'rm -rf "$texts"' EXIT

cat LICENSE
printf '\nThe program contains these libraries:\n\n'
cargo tree --locked --edges normal,no-proc-macro --prefix none --no-dedupe --format '{p}|{l}' |
  sort -u |
  while IFS='|' read -r package licence; do
    name="${package%% *}"
    [ "$name" != coreos-artifactory-monitor ] || continue
    version="${package#* v}"
    version="${version%% *}"
    set -- "$sources"/*/"$name-$version"
    [ -d "$1" ] || { echo "the source of $name $version is not below $sources" >&2; exit 1; }
    count=0
    for text in "$1"/[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]* "$1"/COPYING* "$1"/NOTICE*; do
      [ -f "$text" ] || continue
      count=$((count + 1))
      # Many libraries share a text but for its blanks.
      sum="$(tr -d '[:space:]' < "$text" | sha256sum | cut -d ' ' -f 1)"
      sed 's/[[:space:]]*$//' "$text" > "$texts/$sum.text"
      echo "$name $version" >> "$texts/$sum.names"
    done
    [ "$count" -gt 0 ] || licence="$licence (its package has no text of it)"
    echo "$name $version: ${licence:-see its text below}"
  done

for names in "$texts"/*.names; do
  printf '\n%s\n' "------------------------------------------------------------------------"
  sort -u "$names" | paste -s -d , | sed 's/,/, /g' | fold -s -w 100
  printf '\n'
  cat "${names%.names}.text"
done
