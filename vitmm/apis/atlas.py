"""The table of every timm backbone."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from fnmatch import fnmatch
from multiprocessing import get_context
from pathlib import Path

import timm
import torch
from tqdm import tqdm

from vitmm.errors import BackboneError, did_you_mean
from vitmm.models.backbones.survey import survey
from vitmm.whole_files import write_whole

COLUMNS = (
    'name',
    'sizes',
    'native',
    'strides',
    'channels',
    'parameters',
    'gflops_224',
    'gflops_512',
    'groups',
    'checkpointing',
    'weights',
)


def make_atlas(
    patterns: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    work_dir: str | Path = 'work_dirs/atlas',
    workers: int | None = None,
) -> list[dict]:
    """Measure the architectures that match and write their table; what is done is kept.

    Args:
        patterns: names or globs; none means all, and then ``out`` is ``docs`` by default.
        out: the folder for ``backbones.md`` and ``backbones.csv``; without one the table is
            printed.
        work_dir: keeps what is done, so that an interrupted run goes on where it was.
        workers: processes; one a core by default.

    Returns:
        One row per architecture, by name.

    Raises:
        BackboneError: a pattern that no name matches.
    """
    names = _select(patterns)
    out = out or (None if patterns else 'docs')
    store = Path(work_dir) / f'timm-{timm.__version__}.jsonl'
    store.parent.mkdir(parents=True, exist_ok=True)
    rows = _load(store)
    # What was refused is tried again: something may have been mended.
    missing = [name for name in names if name not in rows or rows[name]['refused']]
    torn = store.exists() and not store.read_text().endswith('\n')
    with store.open('a') as file, tqdm(total=len(names), initial=len(names) - len(missing)) as bar:
        file.write('\n' * torn)  # a killed run was writing
        for row in _measure(missing, workers or os.cpu_count() or 1):
            rows[row['name']] = row
            file.write(json.dumps(row) + '\n')
            file.flush()
            bar.set_postfix_str(row['name'])
            bar.update()
    # Read back what went through JSON, so that a resumed run writes the same.
    rows = _load(store)
    found = [rows[name] for name in names]
    if out:
        write_whole(Path(out, 'backbones.md'), _markdown(found))
        write_whole(Path(out, 'backbones.csv'), _csv(found))
    else:
        print(_table(found))
    refused = [row for row in found if row['refused']]
    print(f'{len(found) - len(refused)} of {len(found)}')
    for row in refused:
        print(f'  {row["name"]}: {row["refused"]}')
    return found


def _select(patterns: Sequence[str]) -> list[str]:
    names = timm.list_models()
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            hint = did_you_mean(pattern, names)
            raise BackboneError(f"no architecture of timm is called '{pattern}'.{hint}")
    return [n for n in names if not patterns or any(fnmatch(n, p) for p in patterns)]


def _load(store: Path) -> dict[str, dict]:
    if not store.exists():
        return {}
    rows = {}
    for line in store.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # torn, see make_atlas
            continue
        rows[row['name']] = row
    return rows


def _measure(names: Sequence[str], workers: int) -> Iterator[dict]:
    if not names:
        return
    context = get_context('spawn')  # forked processes would share torch's thread pool
    with ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool:
        futures = [pool.submit(_survey, name) for name in names]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _survey(name: str) -> dict:
    return asdict(survey(name))


def _cells(row: dict) -> list[str]:
    if row['refused']:
        return [row['name'], 'refused', row['refused'], *[''] * (len(COLUMNS) - 3)]
    return [
        row['name'],
        row['sizes'],
        'x'.join(map(str, dict.fromkeys(row['native']))),
        ' '.join(map(str, row['strides'])),
        ' '.join(map(str, row['channels'])),
        f'{row["parameters"]:.1f}',
        f'{row["gflops_224"]:.2f}',
        f'{row["gflops_512"]:.2f}',
        str(row['groups']),
        'yes' if row['checkpointing'] else '',
        ' '.join(row['weights']),
    ]


def _table(rows: Sequence[dict]) -> str:
    heads = ('architecture', 'sizes', 'native', 'strides', 'channels', 'M parameters')
    heads += ('GFLOPs 224', 'GFLOPs 512', 'groups', 'checkpointing', 'weights')
    lines = [f'| {" | ".join(heads)} |', '|' + ' --- |' * len(heads)]
    return '\n'.join([*lines, *(f'| {" | ".join(_cells(row))} |' for row in rows)])


def _csv(rows: Sequence[dict]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    writer.writerows(_cells(row) for row in rows)
    return text.getvalue()


def _markdown(rows: Sequence[dict]) -> str:
    count = Counter(row['sizes'] for row in rows if not row['refused'])
    usable = sum(count.values())
    return f"""# Every backbone of timm {timm.__version__}

{usable} of {len(rows)} architectures work, on images of any size and in every task.
Made by `make atlas`; the same as numbers: [backbones.csv](backbones.csv).

- **sizes**: how images of other sizes are taken. *any* ({count['any']}): as they are. *cells*
  ({count['cells']}): padded to whole cells of the coarsest map. *natives* ({count['natives']}):
  padded to whole multiples of the native size. *tiles* ({count['tiles']}): cut into tiles of the
  native size, which run as one batch, and the maps are stitched; `model_kwargs=dict(img_size=…)`
  makes the tile as large as you wish where the model takes it.
- **native**: pixels a side that it was made for.
- **strides**, **channels**: of the maps that `out_strides=(4, 8, 16, 32)` picks.
- **M parameters**: millions, up to the last of these maps, without the classifier.
- **GFLOPs**: 1e9 multiply-adds for one image of 224 x 224 and of 512 x 512, padding and tiles
  included.
- **groups**: steps of `vitmm.LayerDecayConstructor`, and what `frozen_groups` counts.
- **checkpointing**: whether `grad_checkpointing=True` keeps fewer activations.
- **weights**: timm's tags; `model_name='<architecture>.<tag>'` with `pretrained=True`.

{_table(rows)}
"""
