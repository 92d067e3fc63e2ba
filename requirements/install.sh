#!/usr/bin/env bash
# Make an environment with the pinned packages and vitmm: requirements/install.sh VENV
# Nothing is compiled. A compiled mmcv that is there already is kept: mmcv-lite would overwrite it.
set -euo pipefail

venv=$1
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

"$python" - <<'CHECK'
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f'error: vitmm needs Python 3.10 to 3.13, and this is {sys.version.split()[0]}; '
             'name another one: PYTHON=python3.12 make env')
CHECK

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
cp "$here/lock.txt" "$pins"
if "$venv/bin/python" -c 'import importlib.metadata as m; m.version("mmcv")' 2>/dev/null; then
    echo "$venv has mmcv already: it is kept, and mmcv-lite is left out."
    grep -v '^mmcv-lite' "$here/lock.txt" > "$pins"
fi
echo "installing the pinned packages into $venv (7 GB, a few minutes) ..."
# --no-deps: the list is whole, and mmcv-lite would bring the OpenCV that needs libGL.
"$venv/bin/python" -m pip install --quiet --no-deps --disable-pip-version-check -r "$pins"
"$venv/bin/python" -m pip install --quiet --no-deps --disable-pip-version-check \
    --no-build-isolation -e "$here/.."
"$venv/bin/python" -c 'import vitmm; print(f"vitmm {vitmm.__version__} is ready")'
