"""Peak memory and time of training a detector under DDP and FSDP, with and without what saves more.

python benchmarks/memory.py [--model vit_small_patch16_224] [--size 320] [--batch 2] [--json FILE]
python benchmarks/memory.py --model vit_large_patch16_224 --size 1024 --amp       # on GPUs
python benchmarks/memory.py --paper --model vit_large_patch16_224 --size 1024     # no training

RetinaNet on the embedded data set, each setting in processes of its own. Memory is that of the
first process while it trains: all of it on a CPU (resident), what torch has allocated on a GPU.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / 'configs' / 'det' / 'vit_retinanet.py'
CHECKPOINTED = {'model.backbone.grad_checkpointing': True}
HALVES = {'optim_wrapper.accumulative_counts': 2}
SETTINGS = {
    'DDP': (False, {}),
    'DDP, checkpointing': (False, CHECKPOINTED),
    'DDP, two halves of the batch': (False, HALVES),
    'FSDP': (True, {}),
    'FSDP, checkpointing': (True, CHECKPOINTED),
    'FSDP, checkpointing, two halves': (True, {**CHECKPOINTED, **HALVES}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description='Measure the memory of training.')
    parser.add_argument('--model', default='vit_small_patch16_224')
    parser.add_argument('--size', type=int, default=320, help='pixels of a side')
    parser.add_argument('--batch', type=int, default=2, help='images a process and update')
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--updates', type=int, default=5, help='of which the first is not timed')
    parser.add_argument('--amp', action='store_true', help='bfloat16, GPU')
    parser.add_argument('--paper', action='store_true', help='count bytes only, for 1, 2 and 8')
    parser.add_argument('--json', type=Path, help='write the figures here too')
    args = parser.parse_args()
    rows = on_paper(args) if args.paper else measured(args)
    if args.json:
        about = {k: v for k, v in vars(args).items() if k != 'json'}
        args.json.write_text(json.dumps(dict(settings=about, rows=rows), indent=1))


def measured(args: argparse.Namespace) -> list[dict]:
    """Train under each setting, and print a row of each."""
    print(
        f'{args.model}, {args.size} x {args.size}, {args.processes} processes, {args.batch} images '
        'a process and update\n'
    )
    print('| setting | peak, MiB | parameters, gradients, AdamW, MiB | s an update | / DDP |')
    print('| --- | ---: | ---: | ---: | ---: |')
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (fsdp, options) in SETTINGS.items():
            row = dict(setting=name, **run(args, folder, fsdp, options))
            rows.append(row)
            print(
                f'| {name} | {row["peak"]:.0f} | {row["state"]:.0f} | {row["seconds"]:.2f} '
                f'| {row["seconds"] / rows[0]["seconds"]:.2f} |',
                flush=True,
            )
    return rows


def run(args: argparse.Namespace, folder: str, fsdp: bool, options: dict) -> dict:
    """Train in processes of their own; returns what the first one saw."""
    parts = options.get('optim_wrapper.accumulative_counts', 1)
    images = args.batch * args.processes * args.updates
    options = {
        'model.backbone.model_name': args.model,
        'data_root': f'{folder}/shapes',
        'prepare_data.num_train': images,
        'prepare_data.num_val': 1,
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 2,
        'train_dataloader.batch_size': args.batch // parts,
        'default_hooks.checkpoint.interval': -1,
        'default_hooks.checkpoint.save_last': False,
        'default_hooks.checkpoint.save_best': None,
        'default_hooks.measure.type': 'MeasureHook',
        'default_hooks.measure.parts': parts,
        'default_hooks.measure.out': f'{folder}/out.json',
        **options,
    }
    job = dict(options=options, fsdp=fsdp, amp=args.amp, work_dir=f'{folder}/run')
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone',
         f'--nproc_per_node={args.processes}', str(Path(__file__).with_name('memory_worker.py')),
         json.dumps(job), str(args.size)],
        env={'OMP_NUM_THREADS': '1', **os.environ}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr[-5000:])
    return json.loads(Path(folder, 'out.json').read_text())


def on_paper(args: argparse.Namespace) -> list[dict]:
    """Shard the detector for so many pretended processes on the meta device, and count."""
    import torch
    import torch.distributed as dist
    from mmengine.registry import init_default_scope

    from vitmm.apis.launch import prepare
    from vitmm.engine.sharding import shard_model
    from vitmm.registry import MODELS

    print(f'{args.model}: parameters, gradients and AdamW in float32, MiB a process\n')
    print('| processes | DDP | FSDP | whole while a part runs: a block | all the rest |')
    print('| ---: | ---: | ---: | ---: | ---: |')
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        options = {
            'model.backbone.model_name': args.model,
            'model.backbone.model_kwargs': dict(img_size=args.size),
            'data_root': f'{folder}/shapes',
            'prepare_data.num_train': 1,
            'prepare_data.num_val': 1,
        }
        config = prepare(RECIPE, options=options, work_dir=folder)
    init_default_scope(config.default_scope)
    for processes in (1, 2, 8):
        dist.init_process_group('fake', rank=0, world_size=processes, store=dist.HashStore())
        with torch.device('meta'):
            model = MODELS.build(config.model)
        units = [bytes_of(unit) for unit in model.backbone.units()]
        whole = bytes_of(model)
        shard_model(model, 'cpu')
        own = sum(p.to_local().numel() * p.element_size() for p in model.parameters())
        row = dict(
            processes=processes,
            ddp=4 * whole,
            fsdp=4 * own,
            block=2 * max(units, default=0),
            rest=2 * (whole - sum(units)),
        )  # whole parts are parameters and their gradients
        rows.append(row)
        print(
            f'| {processes} | '
            + ' | '.join(f'{v / 2**20:.0f}' for v in list(row.values())[1:])
            + ' |'
        )
        dist.destroy_process_group()
    return rows


def bytes_of(module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())


if __name__ == '__main__':
    main()
