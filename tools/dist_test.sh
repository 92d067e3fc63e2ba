#!/usr/bin/env bash
# Evaluate on several processes: tools/dist_test.sh CONFIG CHECKPOINT N [arguments of tools/test.py]
# One process a GPU; without GPUs, processes on the CPU (gloo).
# Several machines: set NNODES, NODE_RANK and MASTER_ADDR (and MASTER_PORT) on each.
set -euo pipefail

[ $# -ge 3 ] || { echo "usage: $0 CONFIG CHECKPOINT N [arguments of tools/test.py]" >&2; exit 2; }
CONFIG=$1
CHECKPOINT=$2
N=$3
here=$(cd "$(dirname "$0")" && pwd)
. "$here/_torchrun.sh"
launch "$N" "$here/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
