"""Why a training failed, where torch's words tell nobody: a head has no place for a class."""

import re

from mmengine.runner import Runner

_SIGNS = re.compile(r'out of (bounds|range)|num_classes|device-side assert')


def too_few_classes(runner: Runner, error: BaseException) -> str | None:
    """The heads of a model that have fewer classes than the data that it was training on.

    What need not end in an error, :mod:`.check_config` finds.

    Args:
        runner: whose training failed.
        error: with which; torch says that an index is out of bounds, on a GPU somewhere else than
            where it was.

    Returns:
        What is wrong and what to do; None where it is something else.
    """
    if not isinstance(error, IndexError | RuntimeError) or not _SIGNS.search(str(error)):
        return None
    from vitmm.apis.check_config.classes import class_counts

    dataset = getattr(getattr(runner._train_loop, 'dataloader', None), 'dataset', None)
    count = len((getattr(dataset, 'metainfo', None) or {}).get('classes') or ())
    few = [
        f'{".".join(map(str, key))} has {number}'
        for key, _, number in class_counts(runner.cfg.get('model') or {})
        if number is not None and number < count
    ]
    if not few:
        return None
    return (
        f'the training data has {count} classes, and {", ".join(few)}: leave num_classes out of '
        f'the options, or set it to ${{data.num_classes}} in the recipe. ({error})'
    )
