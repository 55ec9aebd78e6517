#!/usr/bin/env bash
# Makes this checkout ready to use: system tools (apt), then the Python environment .venv with the locked packages.
# Quick and silent when there is nothing to do. Safe to interrupt, and to run twice at once.
#
#   setup/bootstrap.sh            tools and .venv
#   setup/bootstrap.sh tests      the same, and what only the project's own tests need: a browser,
#                                 and a compiler and an emulator for RISC-V
#   setup/bootstrap.sh tools      tools only
#   setup/bootstrap.sh rebuild    .venv-rebuild, for the scripts that make cases
#
# PYTHON=/path/to/python3   the interpreter to make the environment with
# HIL_NO_INSTALL=1          never call apt: print the command and stop
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1

log=build/bootstrap.log
wait_for_apt=300   # seconds that apt may wait for another package manager

say() { echo "bootstrap: $*" >&2; }
stop() { say "$*"; exit 1; }

# ---- system tools --------------------------------------------------------------------------------------------------

compiles() { printf '#include <%s>\n' "$2" | "$1" -x c++ -std=c++17 -fsyntax-only - >/dev/null 2>&1; }

# Whether version $1 is at least $2; both are numbers with dots.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

cmake_is_enough() {
  local version
  version=$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
  [ -n "$version" ] && at_least "$version" 3.22
}

# Names the Debian packages of all that is missing, one a line.
missing_packages() {
  local arm=arm-none-eabi-g++
  command -v "$arm" >/dev/null || echo gcc-arm-none-eabi
  compiles "$arm" stdint.h || echo libnewlib-arm-none-eabi
  compiles "$arm" array || echo libstdc++-arm-none-eabi-newlib
  command -v qemu-system-arm >/dev/null || echo qemu-system-arm
  cmake_is_enough || echo cmake
  command -v ninja >/dev/null || echo ninja-build
  compiles g++ array || echo g++
  command -v cargo >/dev/null || echo cargo
  return 0
}

# What the tests look at the HTML report with; the names are those of tests/report/browser.py.
has_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null

# Ubuntu has Chromium as a snap only, which needs more than a package manager: there the tests are skipped without one.
missing_browser() {
  [ -n "$tests" ] && ! has_browser || return 0
  [[ $(cat /etc/os-release 2>/dev/null) == *ID=ubuntu* ]] || printf '%s\n' chromium fonts-dejavu-core
}

# What firmware for RISC-V is built with, and run on. Debian 13 has an emulator's package of its own for it.
missing_riscv() {
  local gcc=riscv64-unknown-elf-gcc qemu=qemu-system-misc
  [ -n "$tests" ] || return 0
  if ! command -v qemu-system-riscv32 >/dev/null; then
    ! apt_knows qemu-system-riscv || qemu=qemu-system-riscv
    echo "$qemu"
  fi
  command -v "$gcc" >/dev/null || echo gcc-riscv64-unknown-elf
  "$gcc" -specs=picolibc.specs -x c -fsyntax-only /dev/null 2>/dev/null || echo picolibc-riscv64-unknown-elf
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  [ "${HIL_NO_INSTALL:-0}" = 0 ] && command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

# Whether apt has a version of every package named.
apt_knows() {
  local package
  for package in "$@"; do
    apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 1
  done
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o "DPkg::Lock::Timeout=$wait_for_apt" \
    install -y --no-install-recommends "$@" </dev/null >>"$log" 2>&1 9<&-
}

apt_update() {
  as_root apt-get -o "DPkg::Lock::Timeout=$wait_for_apt" update </dev/null >>"$log" 2>&1 9<&- ||
    failed "apt-get update"
}

ensure_tools() {
  local missing
  mapfile -t missing < <(missing_packages; missing_browser; missing_riscv; missing_python)
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! may_install; then
    explain_missing "${missing[@]}"
    exit 1
  fi
  say "installing ${missing[*]} with apt (log: $log)"
  apt_knows "${missing[@]}" || apt_update
  # A list of packages that went stale names files that are no longer there: fetch it again once.
  apt_install "${missing[@]}" || { apt_update && apt_install "${missing[@]}"; } || failed "apt-get install ${missing[*]}"
  hash -r
  mapfile -t missing < <(missing_packages; missing_browser; missing_riscv)
  [ ${#missing[@]} -eq 0 ] ||
    stop "still missing or too old after apt: ${missing[*]}. Install newer ones and put them first on PATH."
}

explain_missing() {
  if command -v apt-get >/dev/null; then
    say "these packages are missing: $*. Install them, then run the same command again:"
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
  else
    say "missing; install what Debian calls: $*. Then run the same command again."
  fi
}

# ---- Python --------------------------------------------------------------------------------------------------------

newest_minor=14   # the locks are resolved for 3.11 up to here
[ "${1:-}" != rebuild ] || newest_minor=13

python_fits() {
  "$1" -I -c "import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $newest_minor))" 2>/dev/null
}

# The first interpreter that is of a fitting version and can make an environment; nothing when there is none.
choose_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    if command -v "$candidate" >/dev/null && python_fits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
}

# The package that brings a fitting Python, when there is none: Debian ships venv apart from the interpreter. A PYTHON that
# the user named is theirs to mend.
missing_python() {
  local candidate
  [ -z "${PYTHON:-}" ] && [ -z "$(choose_python)" ] || return 0
  for candidate in python3.14 python3.13 python3.12 python3.11; do
    if [ -x "/usr/bin/$candidate" ] && [ "$(readlink -f /usr/bin/python3)" != "/usr/bin/$candidate" ]; then
      echo "$candidate-venv"
      return
    fi
  done
  echo python3-venv
}

# What an environment was made from: anything else in here makes it anew.
fingerprint() {
  {
    pwd -P
    cat "$2" pyproject.toml setup/bootstrap.sh
    "$1/bin/python" -I -S -c 'import sys; print(sys.version_info[:2], sys.implementation.name)'
  } 2>/dev/null | sha256sum
}

is_ready() {
  [ -x "$1/bin/python" ] && [ -f "$1/.hil-ready" ] && [ "$(fingerprint "$1" "$2")" = "$(cat "$1/.hil-ready")" ]
}

# Environment $1 from lock file $2. The mark is written last, so a half-made environment is made anew.
ensure_environment() {
  local venv=$1 lock=$2 python
  is_ready "$venv" "$lock" && return
  python=$(choose_python)
  [ -n "$python" ] || stop "$(python_help)"
  say "making $venv with $("$python" --version) (log: $log)"
  rm -rf "$venv"
  "$python" -m venv "$venv" >>"$log" 2>&1 || failed "$python -m venv"
  step "$venv" --require-hashes -r "$lock"
  step "$venv" --no-deps --no-build-isolation --editable .
  fingerprint "$venv" "$lock" >"$venv/.hil-ready.new"
  mv "$venv/.hil-ready.new" "$venv/.hil-ready"
}

python_help() {
  local found
  found=$("${PYTHON:-python3}" --version 2>/dev/null || echo "nothing that answers")
  echo "needs Python 3.11 to 3.$newest_minor with venv and ensurepip; ${PYTHON:-python3} is $found." \
    "Install one and run: make PYTHON=/path/to/python3.12"
}

step() {
  local venv=$1
  shift
  "$venv/bin/python" -m pip install --no-input "$@" </dev/null >>"$log" 2>&1 9<&- || failed "pip install $*"
}

failed() {
  say "failed: $1. The last lines of $log:"
  tail -n 8 "$log" | sed 's/^/  /' >&2
  exit 1
}

# ---- main ----------------------------------------------------------------------------------------------------------

tests=
case "${1:-all}" in
  all) venv=.venv lock=requirements.lock ;;
  tests) venv=.venv lock=requirements.lock tests=1 ;;
  rebuild) venv=.venv-rebuild lock=requirements-rebuild.lock ;;
  tools) venv='' lock='' ;;
  *) stop "unknown argument $1; use nothing, tests, tools or rebuild" ;;
esac

# `command -v` of several names succeeds when one is found, so count the answers.
warm() {
  [ -n "$venv" ] && is_ready "$venv" "$lock" && [ -z "$(missing_browser; missing_riscv)" ] &&
    [ "$(command -v arm-none-eabi-g++ qemu-system-arm cmake ninja g++ cargo | wc -l)" -eq 6 ]
}
warm && exit 0

# The lock is on this very file: nothing to clean up, and the kernel frees it however this process ends.
if command -v flock >/dev/null; then
  exec 9<setup/bootstrap.sh
  flock -n 9 || { say "another bootstrap is at work in this checkout; waiting for it"; flock 9; }
fi
mkdir -p build
date '+--- %Y-%m-%d %H:%M:%S' >>"$log"
[ "${1:-}" = rebuild ] || ensure_tools
[ -z "$venv" ] || ensure_environment "$venv" "$lock"
