"""Loader workers that live as long as the run."""

from mmengine.runner import Runner


def keep_workers(runner: Runner) -> None:
    """Keep the workers of training and validation from epoch to epoch, unless a config decides.

    To start them takes some 0.05 s each, more where the process is large, twice an epoch. Their
    random numbers stay those of new ones: :func:`vitmm.engine.seeding.tell_workers`.
    """
    for name in ('_train_dataloader', '_val_dataloader'):
        loader = getattr(runner, name, None)
        if isinstance(loader, dict) and loader.get('num_workers'):
            loader.setdefault('persistent_workers', True)


def end_workers(runner: Runner) -> None:
    """End the workers that a run has left; another pass through the data starts new ones.

    Left to the end of the process, before torch 2.14 each of them takes 5 s where memory is
    pinned (https://github.com/pytorch/pytorch/issues/81794).
    """
    for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
        loader = getattr(loop, 'dataloader', None)
        iterator = getattr(loader, '_iterator', None)
        if hasattr(iterator, '_shutdown_workers'):
            iterator._shutdown_workers()
            loader._iterator = None
