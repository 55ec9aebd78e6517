#!/usr/bin/env bash
# Resolves pyproject.toml into the two lock files. Keeps the versions already locked unless UPGRADE=1.
# Run through `make lock`: it needs the environment that the bootstrap makes.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=build/lock-tool
uv=0.13.8
[ -x "$tool/bin/uv" ] || { .venv/bin/python -m venv "$tool" && "$tool/bin/python" -m pip install --quiet "uv==$uv"; }

# Resolves one set: file to write, extra to include, sentence for the header.
resolve() {
  local file=$1 extra=$2 purpose=$3 pins=build/lock-tool/$1
  : >"$pins"
  [ "${UPGRADE:-0}" = 1 ] || [ ! -f "$file" ] || cp "$file" "$pins"
  # No configuration of this machine may reach the file: no index, no local wheel folder.
  env -u UV_FIND_LINKS -u UV_INDEX -u UV_EXTRA_INDEX_URL "$tool/bin/uv" pip compile pyproject.toml --extra "$extra" \
    --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links --quiet --output-file "$pins"
  {
    echo "# $purpose"
    echo "# Written by \`make lock\` from pyproject.toml; \`make lock UPGRADE=1\` moves the versions. Not edited by hand."
    cat "$pins"
  } >"$file.new"
  if grep -nE '://|^-|file:' "$file.new"; then
    rm -f "$file.new"
    echo "lock: the lines above name a host, a path or an option; $file was left as it was" >&2
    return 1
  fi
  mv "$file.new" "$file"
}

resolve requirements.lock dev "What hil needs to run and to be worked on, Python 3.11 to 3.14."
resolve requirements-rebuild.lock rebuild "What rebuilding a case needs, for .venv-rebuild, Python 3.11 to 3.13."
