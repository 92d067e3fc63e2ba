# Sourced by dist_train.sh and dist_test.sh: launch N SCRIPT [ARG ...]; $here is their folder
launch() {
    local n=$1 cores
    shift
    case $n in
        '' | *[!0-9]* | 0) echo "N is the number of processes on this machine, not '$n'" >&2; exit 2 ;;
    esac
    # torchrun gives every process one thread; on the CPU, share the cores out instead.
    # nproc knows those that are allowed (Slurm, containers), getconf those of the machine.
    cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo "$n")
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores / n > 0 ? cores / n : 1))}
    if [ -n "${NNODES:-}" ] && [ "$NNODES" -gt 1 ]; then
        set -- --nnodes "$NNODES" --node_rank "${NODE_RANK:?is which of the machines this is, from 0}" \
            --master_addr "${MASTER_ADDR:?is the address of machine 0}" \
            --master_port "${MASTER_PORT:-29500}" --nproc_per_node "$n" "$@"
    elif [ -n "${MASTER_PORT:-}" ]; then
        set -- --nnodes 1 --master_addr 127.0.0.1 --master_port "$MASTER_PORT" --nproc_per_node "$n" "$@"
    else
        set -- --standalone --nproc_per_node "$n" "$@"  # takes a free port
    fi
    exec "${PYTHON:-python}" "$here/_torchrun.py" "$@"
}
