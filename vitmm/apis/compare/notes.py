"""What a reader has to know to read the figures: the budget, how each was measured, the machine."""

from collections.abc import Mapping
from typing import Any

from vitmm.apis.compare.table import number

_STEADY = 1.5  # the upper quartile of a latency by the lower one, at most


def budget(config: Mapping[str, Any], gpus: int, amp: bool) -> dict[str, Any]:
    """What every pairing got, read from a resolved config."""
    train = config.get('train_cfg') or {}
    wrapper = config.get('optim_wrapper') or {}
    optimizer = wrapper.get('optimizer') or {}
    loader = config.get('train_dataloader') or {}
    batch = loader.get('batch_size') or (loader.get('batch_sampler') or {}).get('batch_size')
    found = {
        'epochs': train.get('max_epochs'),
        'iterations': train.get('max_iters'),
        'batch size': batch and batch * gpus * wrapper.get('accumulative_counts', 1),
        'optimizer': optimizer.get('type'),
        'learning rate': optimizer.get('lr'),
        'processes': gpus if gpus > 1 else None,
        'precision': 'bfloat16 (autocast)' if amp else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def notes(found: Mapping[str, Any]) -> list[str]:
    """Sentences for below the table.

    Args:
        found: what ``compare.json`` holds.
    """
    told = []
    if found['mode'] == 'train':
        same = ', '.join(f'{key} {value}' for key, value in found['budget'].items())
        told.append(
            f'Each backbone was trained by {found["recipe"]} under the same budget: {same}.'
        )
        many = len(found['seeds'])
        told.append(
            f'The metric is that of the last checkpoint: mean ± standard deviation of the sample '
            f'over {many} seeds.'
            if many > 1
            else f'The metric is that of the last checkpoint, of one seed ({found["seeds"][0]}): '
            'small differences may be chance, and --seeds 0 1 2 would show how much.'
        )
    elif found['mode'] == 'test':
        told.append('One checkpoint each was tested; nothing was trained.')
    elif found['mode'] == 'probe':
        told.append(
            'Frozen features, nothing fine-tuned: a ranking to begin with, not what training gives.'
        )
        runs = [run for row in found['rows'] for run in row['runs']]
        if not all(run['pretrained'] for run in runs):
            told.append(
                'These backbones had no pretrained weights: random features were ranked. Add '
                '--cfg-options model.backbone.pretrained=True.'
            )
    costs = {row['backbone']: row['cost'] for row in found['rows'] if row['cost']}
    if costs:
        cost = next(iter(costs.values()))
        where = (
            cost['device'] if cost['device'] != 'cpu' else f'the CPU, threads: {cost["threads"]}'
        )
        told.append(
            f'Costs are of the whole model at {_sizes(costs)}, on {where}: GFLOPs are 1e9 '
            f'multiply-adds of one image; latency is the median (and quartiles) of one image; '
            f'throughput and peak memory are of batches of {cost["batch"]}.'
        )
        latencies = [row['cost']['latency'] for row in found['rows'] if row['cost']]
        if any(one['high'] > _STEADY * one['low'] for one in latencies):
            told.append(
                'Some latencies varied much while they were measured: the machine had other work. '
                'Remove the measure.json of each backbone and run the same command again when it '
                'has none.'
            )
    machine = found['machine']
    told.append(
        f'{machine["gpu"] or machine["processor"]}, {machine["cores"]} cores, '
        f'{machine["system"]}, Python {machine["python"]}, '
        + ', '.join(f'{name} {version}' for name, version in machine['versions'].items())
        + '.'
    )
    if found['unfinished']:
        number = found['unfinished']
        told.insert(
            0, f'Not finished: {number} job{"s are" if number > 1 else " is"} to be run yet.'
        )
    return told


def _sizes(costs: Mapping[str, Mapping[str, Any]]) -> str:
    """The input of all, or of each where they differ, and whether weights were trained."""
    groups: dict[str, list[str]] = {}
    for backbone, cost in costs.items():
        trained = '' if cost['trained'] else ', with untrained weights'
        groups.setdefault(f'{" x ".join(map(str, cost["input"]))}{trained}', []).append(backbone)
    if len(groups) == 1:
        return next(iter(groups))
    return '; '.join(f'{size} ({", ".join(names)})' for size, names in groups.items())


def verdict(found: Mapping[str, Any]) -> list[str]:
    """The answer in a sentence or two: the best, and who is as good for less.

    As good is one whose mean is within the larger of both standard deviations of the best's.
    """
    higher, name = found['higher_is_better'], (found['metric'] or '').rpartition('/')[2]
    scored = [one for one in found['summary'] if one['score'] is not None]
    if len(scored) < 2:
        return []
    scored.sort(key=lambda one: one['score'], reverse=higher)
    best = scored[0]
    equal = [one['backbone'] for one in scored if one['score'] == best['score']]
    have = 'has' if len(equal) == 1 else 'have'
    told = [f'{" and ".join(equal)} {have} the best {name}.']
    for other in scored[len(equal) :]:
        spread = max(best['std'] or 0, other['std'] or 0)
        gap = abs(best['score'] - other['score'])
        faster = best['latency'] and other['latency'] and best['latency'] / other['latency']
        if spread and gap <= spread and faster and faster > 1.1:
            told.append(
                f'{other["backbone"]} is within the spread of the seeds of it and '
                f'{number(faster, 2)} times as fast.'
            )
            break
    else:
        alone = [one['backbone'] for one in scored if one['seeds'] < 2]
        if found['mode'] == 'train' and alone:
            each = 'each' if len(alone) == len(scored) else f'of {", ".join(alone)}'
            told.append(f'One seed {each}: a small lead may be chance.')
    return told
