#!/usr/bin/env bash
# Train on several processes: tools/dist_train.sh CONFIG N [arguments of tools/train.py]
# One process a GPU; without GPUs, processes on the CPU (gloo).
# Several machines: set NNODES, NODE_RANK and MASTER_ADDR (and MASTER_PORT) on each.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: $0 CONFIG N [arguments of tools/train.py]" >&2; exit 2; }
CONFIG=$1
N=$2
here=$(cd "$(dirname "$0")" && pwd)
. "$here/_torchrun.sh"
launch "$N" "$here/train.py" "$CONFIG" --launcher pytorch "${@:3}"
