"""What data loaders and transforms refuse when they are built."""

from collections.abc import Mapping
from typing import Any

from mmengine.registry import TRANSFORMS, init_default_scope
from torch.utils.data import DataLoader

from vitmm.apis.bare_model import quiet
from vitmm.apis.check_config.case import Case
from vitmm.apis.check_config.toplevel import pipelines_of
from vitmm.apis.metric_names import listed
from vitmm.apis.signatures import classes_of
from vitmm.config.places import Key
from vitmm.errors import reason

_SPLITS = ('train', 'val', 'test')
# What the Runner builds for the loader, or keeps for itself.
_BUILT = ('dataset', 'sampler', 'batch_sampler', 'collate_fn', 'worker_init_fn')
_LIBRARIES = ('mmcv', 'mmengine', 'mmdet', 'mmseg', 'mmpretrain', 'vitmm')
_OURS = 'num_batch_per_epoch'


def check_loading(case: Case) -> None:
    """Build each data loader around nothing, and each transform of the pipelines."""
    with quiet():
        init_default_scope(case.scope or 'mmengine')
        for split in _SPLITS:
            name = f'{split}_dataloader'
            loader = case.said.get(name)
            if not isinstance(loader, Mapping):
                continue
            _check_loader(case, name, loader)
            for key, pipeline in pipelines_of(case, split):
                for number, transform in enumerate(listed(pipeline)):
                    _check_transform(case, (*key, number), transform)


def _check_loader(case: Case, name: str, loader: Mapping[str, Any]) -> None:
    settings = {k: v for k, v in loader.items() if k not in _BUILT and k != _OURS}
    if loader.get('batch_sampler') is not None:  # as MMEngine hands both over
        settings.pop('batch_size', None)
        settings['batch_sampler'] = [[0]]
    try:
        DataLoader([0], **settings)
    except ValueError as error:
        said = [key for key in settings if key in str(error) and key in loader]
        words = f'set {name}.batch_sampler.drop_last' if 'drop_last' in said else 'change one'
        key = case.origins.latest(*((name, one) for one in said)) if said else (name,)
        case.say('loader', key, f'{name} cannot be built: {error}', words)
    except TypeError:  # a keyword that it does not take is found elsewhere
        pass


def _check_transform(case: Case, key: Key, transform: Any) -> None:
    dotted = '.'.join(map(str, key))
    kind = transform.get('type') if isinstance(transform, Mapping) else None
    if any(f'{finding.key}.'.startswith(f'{dotted}.') for finding in case.findings):
        return
    if not isinstance(kind, str) or any('tokenizer' in name for name in transform):  # is fetched
        return
    found = classes_of(kind, case.scope, 'transform')
    if not found or found[0].__module__.partition('.')[0] not in _LIBRARIES:
        return  # what those of others do when they are built, nobody knows
    try:
        TRANSFORMS.build(transform)
    except Exception as error:  # whatever it raises to refuse
        case.say('pipeline', key, f'{kind} cannot be built', reason(error))
