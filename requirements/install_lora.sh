#!/usr/bin/env bash
# What LoRA's tests need, beside an environment and not in it: requirements/install_lora.sh VENV
# peft brings transformers, which MMEngine imports wherever it finds it: 3 seconds a start.
set -euo pipefail

venv=$1
here=$(cd "$(dirname "$0")" && pwd)
packages() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

"$venv/bin/python" -m venv --without-pip "$venv/lora"
echo "import site; site.addsitedir('$(packages "$venv/bin/python")')" \
    > "$(packages "$venv/lora/bin/python")/base.pth"
"$venv/lora/bin/python" -m pip install --quiet --no-deps --disable-pip-version-check \
    -r "$here/lora.txt"
