#!/bin/sh
# Make or refresh a virtual environment from a lock file with hashes, and install this checkout into it.
# usage: make_venv.sh PYTHON VENV LOCK [PIP-ARGUMENTS…]
set -eu
python=$1 venv=$2 lock=$3
shift 3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "holdfast needs Python 3.11 or newer, and '$python' is $("$python" -V 2>&1 || echo not there); name another with: make PYTHON=/path/to/python3" >&2
    exit 1
}
if [ ! -x "$venv/bin/python" ]; then
    "$python" -c 'import ensurepip' 2>/dev/null || {
        echo "'$python' cannot make virtual environments; install them first: apt-get install python3-venv" >&2
        exit 1
    }
    echo "making a virtual environment in $venv"
    "$python" -m venv "$venv"
fi
echo "installing the locked packages of $lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@" -r "$lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
