"""Loader workers that live as long as the run."""

from mmengine.runner import Runner

from vitmm.config.length import counts_epochs
from vitmm.datasets.lent_memory import forget


def keep_workers(runner: Runner) -> None:
    """Keep the workers of training and validation from epoch to epoch, unless a config decides.

    To start them takes some 0.05 s each, more where the process is large, twice an epoch. Only
    those with ``vitmm.seed_worker`` stay: their random numbers are those of new ones
    (:func:`vitmm.engine.seeding.tell_workers`). A training by iterations is one pass anyway.
    """
    names = ['_val_dataloader']
    loop = runner._train_loop
    if isinstance(loop, dict) and counts_epochs(loop):
        names.append('_train_dataloader')
    for name in names:
        loader = getattr(runner, name, None)
        if isinstance(loader, dict) and loader.get('num_workers'):
            begin = loader.get('worker_init_fn') or {}
            if begin.get('type') == 'vitmm.seed_worker':
                loader.setdefault('persistent_workers', True)


def end_workers(runner: Runner) -> None:
    """End the workers that have stayed; another pass through the data starts new ones.

    Left to the end of the process, before torch 2.14 each of them takes 5 s where memory is
    pinned (https://github.com/pytorch/pytorch/issues/81794).
    """
    for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
        loader = getattr(loop, 'dataloader', None)
        iterator = getattr(loader, '_iterator', None)
        if hasattr(iterator, '_shutdown_workers'):
            iterator._shutdown_workers()
            for worker in iterator._workers:
                forget(worker.pid)
            loader._iterator = None
