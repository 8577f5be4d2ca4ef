#!/bin/sh
# requirements.lock from pyproject.toml: one version of each package for Python 3.11 to 3.13 and
# every platform, with the hashes of all its files, and no word about where they come from.
#
#     sh tools/lock.sh [--upgrade]
#
# Versions already in the lock are kept while they fit; --upgrade takes the newest that fit.
# `fewest` is what gives one version to all Pythons: equal packages make equal bytes.
set -eu
cd "$(dirname "$0")/.."
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    if [ ! -x .venv-uv/bin/uv ]; then
        sh tools/setup.sh
        .venv/bin/python -m venv .venv-uv
        .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
    fi
    uv=.venv-uv/bin/uv
fi
"$uv" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
    --all-extras --group dev --generate-hashes --no-header --no-annotate --no-emit-index-url \
    --output-file requirements.lock "$@" pyproject.toml
grep -c '^[a-z0-9][^ ]*==' requirements.lock | sed 's/$/ packages in requirements.lock/'
