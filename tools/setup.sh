#!/bin/sh
# Make DIR an environment that holds what requirements.lock pins, and this checkout:
#
#     sh tools/setup.sh [DIR [VERSION]]         sh tools/setup.sh .venv-3.12 3.12
#
# DIR is .venv unless named. VERSION, or PYTHON in the environment, chooses the interpreter.
# With nothing to do this costs milliseconds: DIR/ready says for which lock, project and place
# the environment was finished. This half finds git and an interpreter; tools/setup.py, run by
# that interpreter, does the work. Exit codes: 0 ready, 2 something is missing, 3 it failed.
set -eu
cd "$(dirname "$0")/.."
dir=${1:-.venv}
version=${2:-}

if ! command -v git >/dev/null 2>&1; then
    echo "setup: git is needed, and there is none on PATH" >&2
    echo "       Debian, Ubuntu: apt install git      macOS: xcode-select --install" >&2
    exit 2
fi

# Prints "ok PATH", "pip PATH" (it can make a venv, but has to lend it its own pip), or why not.
# PATH is the interpreter below any environment: `python3` may be that of the one about to be rebuilt.
# Every Python since 2.7 understands this, because that is what `python3` may turn out to be.
probe='
import sys
have = "%d.%d" % sys.version_info[:2]
want = sys.argv[1]
base = getattr(sys, "_base_executable", sys.executable)
if not (3, 11) <= sys.version_info[:2] <= (3, 13) or want not in ("", have):
    print("is Python " + have)
else:
    try:
        import ensurepip, venv
        print("ok " + base)
    except ImportError:
        try:
            import pip, venv
            print("pip " + base)
        except ImportError:
            print("is Python %s without its modules venv and ensurepip" % have)
'

candidates() {
    if [ -n "${PYTHON:-}" ]; then
        echo "$PYTHON"
        return
    fi
    if [ -z "$version" ]; then echo python3; fi
    for minor in ${version:-3.13 3.12 3.11}; do echo "python$minor"; done
    if [ -n "$version" ]; then echo python3; fi
    for minor in ${version:-3.13 3.12 3.11}; do
        for path in "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}/versions/$minor".*/bin/python3; do echo "$path"; done
    done
}

# The first interpreter that has all it needs, else the first that can borrow its own pip.
find_python() {
    second=
    seen=
    while read -r candidate; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        answer=$("$candidate" -c "$probe" "$version" 2>/dev/null </dev/null) || continue
        case $answer in
            "ok "*) echo "${answer#ok }"; return 0 ;;
            "pip "*) second=${second:-${answer#pip }} ;;
            "is "*) seen="$seen       $candidate $answer
" ;;
        esac
    done
    if [ -n "$second" ]; then echo "$second"; return 0; fi
    echo "setup: Python ${version:-3.11, 3.12 or 3.13} is needed, with its module venv; found:" >&2
    printf '%s' "${seen:-       nothing
}" >&2
    echo "       Debian, Ubuntu: apt install python3 python3-venv      macOS: brew install python@${version:-3.13}" >&2
    echo "       or name one yourself: make PYTHON=/path/to/python3 …" >&2
    return 2
}

key="lock $(cksum <requirements.lock)
project $(cksum <pyproject.toml)
root $(pwd -P)"

wanted=$version
if [ -n "${PYTHON:-}" ] && [ -z "$version" ]; then
    wanted=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
        echo "setup: PYTHON=$PYTHON is not a Python that runs" >&2
        exit 2
    }
fi
if [ -x "$dir/bin/python$wanted" ] && [ "$(cat "$dir/ready" 2>/dev/null)" = "$key" ]; then
    exit 0
fi

python=$(candidates | find_python) || exit 2
exec "$python" tools/setup.py "$dir" "$key"
