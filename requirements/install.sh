#!/bin/sh
# Brings .venv to the state of a lock, with PYTHON or with the first Python found that fits.
#
#   requirements/install.sh <lock> <target of make, for the error message>
#
# `make` calls it. It is a shell script because there may be no Python at all.

# Prints what brings a Python on this system.
how_to_install() {
  if command -v uv; then
    echo "uv python install 3.13"
  elif [ "$(uname)" = Darwin ]; then
    echo "brew install python@3.13"
  elif command -v apt-cache; then
    for package in python3.13-venv python3.12-venv python3.11-venv; do
      apt-cache show "$package" && echo "apt install $package" && return
    done
    # A new container has no lists of packages yet; else this release is too old or too new.
    apt-cache show python3 && with_uv || echo "apt update && apt install python3-venv"
  elif command -v dnf; then
    echo "dnf install python3.12" # Fedora and Red Hat have it
  else
    with_uv
  fi
}

with_uv() {
  echo "get uv from https://docs.astral.sh/uv, then: uv python install 3.13"
}

if [ -n "$PYTHON" ]; then
  found="PYTHON=$PYTHON cannot be run"
  set -- "$1" "$2" "$PYTHON"
else
  found="none was found"
  set -- "$1" "$2" .venv/bin/python python3.13 python3.12 python3.11 python3
fi
lock=$1 target=$2
shift 2
for python; do
  version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3]); import ensurepip' 2>/dev/null)
  has_venv=$?
  case $version in
    "") continue ;;
    3.11.* | 3.12.* | 3.13.*)
      [ $has_venv = 0 ] && exec "$python" requirements/install.py .venv "requirements/$lock.txt"
      version="$version without its venv module" ;;
  esac
  found="${PYTHON:+PYTHON=}$python is $version"
done
echo "error: Python 3.11, 3.12 or 3.13 with its venv module is needed, but $found. To install one:" \
  "$(how_to_install 2>/dev/null | tail -n 1). Or give one: make $target PYTHON=/path/to/python3.13" >&2
exit 1
