#!/bin/sh
# All tests under every Python that trunkline supports, each in its own environment:
#
#     sh tools/test-all.sh [pytest's arguments]
#
# .venv serves for the version that it has, .venv-3.12 and so on for the others. A version that is
# not on this machine makes the whole fail at the end, after the others have run.
set -u
cd "$(dirname "$0")/.."
missing=
failed=
for version in 3.11 3.12 3.13; do
    venv=.venv
    [ -x "$venv/bin/python$version" ] || venv=.venv-$version
    echo "== Python $version ($venv)"
    PYTHON='' sh tools/setup.sh "$venv" "$version"
    case $? in
        0) ;;
        2) missing="$missing $version"; continue ;;
        *) failed="$failed $version"; continue ;;
    esac
    PATH="$(pwd)/$venv/bin:$PATH" "$venv/bin/python" -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@" || failed="$failed $version"
done
[ -z "$failed" ] || echo "test-all: failed under Python$failed"
[ -z "$missing" ] || echo "test-all: not run, there is no interpreter for Python$missing"
[ -z "$failed$missing" ]
