#!/usr/bin/env bash
# Makes .venv with pip in it, also where Debian's python3 came without its venv package.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "fleetd needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }

with_own_pip() {
  rm -rf .venv
  "$python" -m venv .venv >"$log" 2>&1
}

# Without the venv package there is no ensurepip; an installed virtualenv or pip can take its place.
with_installed_pip() {
  rm -rf .venv
  "$python" -m virtualenv .venv >>"$log" 2>&1 ||
    { "$python" -m venv --without-pip .venv && "$python" -m pip --python .venv install pip; } >>"$log" 2>&1
}

install_venv_package() {
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root=sudo; else return 1; fi
  echo "installing python3-venv"
  { $as_root apt-get update && $as_root apt-get install -y --no-install-recommends python3-venv; } </dev/null >>"$log" 2>&1
}

with_own_pip || with_installed_pip || { install_venv_package && with_own_pip; } || {
  rm -rf .venv
  tail -n 5 "$log" >&2
  echo "$python cannot make a virtual environment: install its venv package (Debian: apt-get install python3-venv), then run make again" >&2
  exit 1
}
.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' # knows dependency groups
