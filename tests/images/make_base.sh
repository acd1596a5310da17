#!/usr/bin/env bash
# Makes a base image from Debian's packages, for machines without a registry; as root, with debootstrap and Docker:
#   tests/images/make_base.sh localhost/python:3.11-bookworm
#   make images ARGS="--build-arg BASE_IMAGE=localhost/python:3.11-bookworm"
set -euo pipefail
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar -C "$root" -c . | docker import - "$1"
