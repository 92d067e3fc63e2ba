"""What a run does about data that is bad: stop at it, or leave it out."""

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from vitmm.datasets.check import check_annotations
from vitmm.datasets.leave_out import leave_out
from vitmm.datasets.sources import change_leaves
from vitmm.errors import ConfigError
from vitmm.writing import writing


def check_or_leave_out(cfg: Config, loader: str) -> None:
    """Look at the data of a loader as the config's ``bad_data`` says.

    ``'stop'``, the default, looks at annotations and at whether files are there, and stops at the
    first fault; what does not decode stops the run when it is met. ``'skip'`` reads everything
    once, leaves out what is bad and says how much that is; the loader's config, and that of its
    evaluator, are changed in place.

    Args:
        cfg: a resolved config with a ``work_dir``, beside which the lists of what is left go.
        loader: ``'train_dataloader'`` or alike.

    Raises:
        ConfigError: ``bad_data`` is something else.
        DataError: one message for the first thing that is wrong.
    """
    choice = cfg.get('bad_data', 'stop')
    if choice not in ('stop', 'skip'):
        raise ConfigError(f"bad_data is 'stop' or 'skip', not {choice!r}.")
    scope = cfg.get('default_scope')
    if choice == 'skip':
        name, folder = loader.removesuffix('_dataloader'), Path(cfg.work_dir).parent / 'left_out'
        files: dict[str, str] = {}

        def change(one: dict) -> dict:
            changed, said = leave_out(one, scope, name, folder)
            print_log(said, logger='current')
            # Where nothing is bad it stays the data set's own.
            if one.get('ann_file') and changed['ann_file'] != one['ann_file']:
                path = os.path.join(one.get('data_root') or '', one['ann_file'])
                files[path] = changed['ann_file']
            return changed

        with writing(('the folder of bad_data=skip,', folder)):
            cfg[loader].dataset = change_leaves(cfg[loader].dataset.to_dict(), change)
        _follow(cfg.get(f'{name}_evaluator'), files)
    check_annotations(cfg[loader].dataset, scope, boxes=choice == 'stop')


def _follow(evaluator: Any, files: dict[str, str]) -> None:
    """Let metrics read the same file of annotations as the data set."""
    for one in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        if one and 'metrics' in one:
            _follow(one['metrics'], files)
        if one and str(one.get('ann_file')) in files:
            one['ann_file'] = files[str(one['ann_file'])]
