#!/usr/bin/env bash
# Measures this machine's GPU in at most 10 minutes, prints one table, and leaves nothing behind. Flags go to
# benchmarks/gpu.py, such as `--cpu` for a quick try without a GPU. PYTHON is the interpreter with TensorFlow and CUDA's
# libraries:
#   python3.11 -m venv .venv-gpu && .venv-gpu/bin/pip install --require-hashes -r requirements/gpu.txt
#   PYTHON=.venv-gpu/bin/python bash benchmarks/gpu.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
TMPDIR=$work XDG_CACHE_HOME=$work timeout --kill-after 10 600 "${PYTHON:-.venv/bin/python}" -m benchmarks.gpu "$@"
