"""Whole models beside what people would use instead: forward, backward, peak memory, as ratios.

python benchmarks/models.py [ROWS ...] [--size 320] [--batch 2] [--json FILE]
python benchmarks/models.py 'swin_tiny/*' '*/torchvision' --precision bf16

A row is model/head/peer, the same architecture on both sides (pairs.py), which take turns in one
process; memory is that of tensors (live_bytes.py), in a process for each. Ratios are vitmm's time
by the peer's, median of pairs with quartiles: below 1, vitmm is faster.
"""

import argparse
import statistics
import time
from dataclasses import asdict
from pathlib import Path

from sides import chosen, exit_for_ours, isolated, now, print_head, print_row, shown, write_json

from vitmm.apis.compare.spread import spread

COLUMNS = (
    'model / head / peer',
    'forward',
    'forward + backward',
    'vitmm, ms',
    'peer, ms',
    'peak vitmm, MiB',
    'peer, MiB',
    'parameters vitmm, M',
    'peer, M',
    'note',
)


def main() -> None:
    import torch
    from pairs import NOTES, ROWS, Setting

    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description='Time whole models against their peers.')
    parser.add_argument('rows', nargs='*', default=['*'], help='names of rows, or globs')
    parser.add_argument('--size', type=int, default=1024 if gpu else 320, help='of the images')
    parser.add_argument('--batch', type=int, default=4 if gpu else 2)
    parser.add_argument('--rois', type=int, default=512 if gpu else 64, help='trained, an image')
    parser.add_argument('--rounds', type=int, default=5, help='at least so many pairs a row')
    parser.add_argument('--seconds', type=float, default=5, help='and for at least so long')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--threads', type=int, default=1, help='on a CPU')
    parser.add_argument('--json', type=Path, help='write the figures there as well')
    args = parser.parse_args()
    names = chosen(ROWS, args.rows)
    setting = Setting(
        size=args.size,
        batch=args.batch,
        rois=args.rois,
        device='cuda' if gpu else 'cpu',
        precision=args.precision,
        threads=args.threads,
    )
    print(
        f'{setting.device}, {setting.precision}, {setting.threads} threads, batch {setting.batch} '
        f'of {setting.size} x {setting.size}, {setting.rois} regions an image\n'
    )
    print_head(COLUMNS)
    rows = []
    for name in names:
        row = {'row': name, 'note': NOTES.get(name, '')}
        row |= isolated(take_turns, name, setting, args.rounds, args.seconds)
        if 'error' not in row:
            for side in ('vitmm', 'peer'):
                told = isolated(peak, name, side == 'vitmm', setting)
                row[side] |= told if 'error' not in told else {'mib': None}
        rows.append(row)
        print_row(cells(row))
    settings = {**asdict(setting), 'rounds': args.rounds, 'seconds': args.seconds}
    write_json(args.json, settings, rows)
    exit_for_ours(rows)


def cells(row: dict) -> list[str]:
    """A row of the table."""
    if 'error' in row:
        return [row['row'], *['' for _ in COLUMNS[2:]], row['error']]
    sides = row['vitmm'], row['peer']
    note = row['note']
    if sides[0]['parameters'] != sides[1]['parameters'] and not note:
        note = 'the numbers of parameters differ'
    return [
        row['row'],
        shown(row['forward']),
        shown(row['both']),
        *(f'{1e3 * side["seconds"]:.0f}' for side in sides),
        *('' if side['mib'] is None else f'{side["mib"]:.0f}' for side in sides),
        *(f'{side["parameters"] / 1e6:.3f}' for side in sides),
        note,
    ]


def take_turns(name: str, setting, rounds: int, seconds: float) -> dict:
    """Time both sides of a row in turn, after a look at whether they do the same."""
    import torch
    from pairs import build
    from sides import reason

    torch.set_num_threads(setting.threads)
    sides, shapes = [], []
    for who in ('vitmm', 'peer'):
        try:
            side = build(name, who == 'vitmm', setting)
            with torch.no_grad():
                shapes.append([tuple(m.shape) for m in side.maps()])
            one_pass(side, setting)  # also the warm-up
        except Exception as error:  # which side it was is what the row must tell
            return {'error': f'{who} fails: {reason(error)}'}
        sides.append(side)
    if any(not same_map(*pair) for pair in zip(*shapes, strict=True)):
        return {'error': f'not the same maps: {shapes[0]}, {shapes[1]}'}
    pairs, start = [], time.perf_counter()
    while len(pairs) < rounds or time.perf_counter() - start < seconds:
        # Who goes first alternates, so that neither has the warmer cache.
        order = (0, 1) if len(pairs) % 2 else (1, 0)
        taken = {i: one_pass(sides[i], setting) for i in order}
        pairs.append((taken[0], taken[1]))
    return {
        'forward': spread([a[0] / b[0] for a, b in pairs]),
        'both': spread([a[1] / b[1] for a, b in pairs]),
        'pairs': len(pairs),
        'maps': shapes[0],
        **{
            who: {
                'seconds': statistics.median(pair[i][1] for pair in pairs),
                'forward_seconds': statistics.median(pair[i][0] for pair in pairs),
                'parameters': sides[i].parameters,
            }
            for i, who in enumerate(('vitmm', 'peer'))
        },
    }


def same_map(ours: tuple, theirs: tuple) -> bool:
    """The same shape, (N, C, H, W), or the peer's (N, H, W, C)."""
    return theirs in (ours, (ours[0], *ours[2:], ours[1]))


def one_pass(side, setting) -> tuple[float, float]:
    """Seconds to the loss, and to the end of the backward pass: on a CPU, its own time only."""
    import torch

    side.model.zero_grad(set_to_none=True)
    start = now(setting.device)
    with torch.autocast(setting.device, torch.bfloat16, enabled=setting.precision == 'bf16'):
        loss = side.loss()
    forward = now(setting.device) - start
    loss.backward()
    both = now(setting.device) - start
    if not torch.isfinite(loss):
        raise FloatingPointError(f'the loss is {loss.item()}')
    return forward, both


def peak(name: str, ours: bool, setting) -> dict:
    """The most bytes that tensors hold in a pass, gradients included, above the model: MiB."""
    import live_bytes
    import torch
    from pairs import build

    torch.set_num_threads(setting.threads)
    side = build(name, ours, setting)
    one_pass(side, setting)  # what is made once and kept belongs to the model
    side.model.zero_grad(set_to_none=True)
    return {'mib': live_bytes.peak(lambda: one_pass(side, setting), setting.device) / 2**20}


if __name__ == '__main__':
    main()
