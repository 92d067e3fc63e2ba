"""Memory that workers use again holds what was sent, for as long as anyone looks at it."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from vitmm.datasets import collate, lent_memory

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='memfd_create is of Linux')
LENGTH = 60


class Numbered(Dataset):
    """Images full of their number, of sizes that differ as ``side`` says."""

    def __init__(self, side=lambda number: 99, length=LENGTH):
        self.side, self.length = side, length

    def __len__(self):
        return self.length

    def __getitem__(self, number):
        shape = 3, self.side(number), 101
        image = torch.full(shape, number % 251, dtype=torch.uint8)
        return {'inputs': image, 'labels': np.full(shape[1:], number)}


def loader(data=None, **kwargs):
    kwargs = {'num_workers': 1, 'batch_size': 2} | kwargs
    return DataLoader(data or Numbered(), collate_fn=collate, **kwargs)


def is_right(batch, first):
    images, labels = batch['inputs'], batch['labels']
    numbers = range(first, first + len(images))
    return all(
        bool((image == n % 251).all() and (label == n).all())
        for n, image, label in zip(numbers, images, labels, strict=True)
    )


def mapped(pid='self'):
    """The pieces that a process maps."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    return {line.split()[4] for line in lines if f'memfd:{lent_memory.NAME}' in line}


@pytest.fixture(autouse=True)
def _nothing_stays():
    before = mapped()
    yield
    gc.collect()
    assert mapped() <= before


@pytest.mark.parametrize('workers', [1, 2])
def test_it_is_used_again(workers):
    seen = set()
    for index, batch in enumerate(loader(num_workers=workers)):
        assert is_right(batch, 2 * index)
        seen |= mapped()
    assert len(seen) <= 6 * workers  # of 30 batches; two wait, two are looked at, and some slack


def test_what_is_kept_stays():
    random, kept = np.random.default_rng(0), []
    for index, batch in enumerate(loader()):
        if random.random() < 0.3:  # more of it than there are pieces
            kept.append((2 * index, batch))
        elif random.random() < 0.5:  # the least of it
            kept.append((2 * index, batch['inputs'][1][2, 5:6]))
    del batch
    assert sum(isinstance(what, dict) for _, what in kept) > 4
    for first, what in kept:
        assert is_right(what, first) if isinstance(what, dict) else bool((what == first + 1).all())
    del what


def test_all_is_kept():
    batches = list(loader(Numbered(length=3 * 2 * lent_memory.MOST)))
    assert len(mapped()) == len(batches) > 2 * lent_memory.MOST
    assert all(is_right(batch, 2 * index) for index, batch in enumerate(batches))


def test_kept_for_a_while():
    """More than there are pieces, and then fewer: what was once too much does not stay."""
    last = deque(maxlen=lent_memory.MOST + 9)
    batches = iter(loader(Numbered(length=3 * 2 * lent_memory.MOST)))
    for index, batch in enumerate(batches):
        last.append((2 * index, batch))
        assert all(is_right(one, first) for first, one in last)
    last.clear()
    del batch
    assert len(mapped()) <= lent_memory.MOST
    del batches


def test_batches_that_grow():
    seen = set()
    batches = iter(loader(Numbered(lambda number: 50 + 10 * number), prefetch_factor=1))
    for index in range(LENGTH // 2):
        assert is_right(next(batches), 2 * index)
        seen |= mapped()
    assert 1 <= len(mapped()) <= 4 < len(seen)  # the small ones are gone
    del batches


@pytest.mark.parametrize('side', [0, 1])
def test_batches_with_nothing_large(side):
    assert all(is_right(b, 2 * i) for i, b in enumerate(loader(Numbered(lambda number: side))))


def test_a_batch_that_a_model_writes_into():
    for index, batch in enumerate(loader()):
        assert is_right(batch, 2 * index)
        batch['inputs'][0].zero_()
        batch['labels'][1][:] = 0


def test_persistent_workers_keep_it():
    batches = loader(persistent_workers=True)
    seen = set()
    for _ in range(3):
        for index, batch in enumerate(batches):
            assert is_right(batch, 2 * index)
            seen |= mapped()
            if index == 20:  # as a validation that is cut short
                break
    del batch
    assert 0 < len(seen) <= 12 and mapped()
    del batches


def test_several_loaders_at_once():
    pairs = zip(loader(), loader(Numbered(lambda number: 120)), strict=True)
    for index, (one, other) in enumerate(pairs):
        assert is_right(one, 2 * index) and is_right(other, 2 * index)


def test_a_thread_takes_it_out():
    """As the one that pins memory does."""
    found = []

    def take():
        found.extend(is_right(batch, 2 * index) for index, batch in enumerate(loader()))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert len(found) == LENGTH // 2 and all(found)


def test_a_forked_child_sees_what_its_parent_had():
    batches = iter(loader())
    held = next(batches)
    parent_is_on, to_child = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.read(parent_is_on, 1)
            code = 0 if is_right(held, 0) else 2
        finally:
            os._exit(code)
    del held  # for the parent, it is done with
    for index in range(1, 20):
        assert is_right(next(batches), 2 * index)
    os.write(to_child, b'x')
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(parent_is_on)
    os.close(to_child)
    del batches


def test_a_forked_child_gives_nothing_back():
    batches = iter(loader())
    first = next(batches)
    del first
    held = [next(batches)]  # in a piece that may have been used again
    child = os.fork()
    if child == 0:
        held.clear()
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for index in range(2, 25):
        assert is_right(next(batches), 2 * index)
    assert is_right(held[0], 2)
    del batches


def test_a_fork_in_between_costs_one_piece():
    """Validation forks workers in the midst of a training by iterations."""
    batches, seen = iter(loader()), set()
    for index in range(LENGTH // 2):
        batch = next(batches)
        assert is_right(batch, 2 * index)
        if index % 3 == 0:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        seen |= mapped()
        assert len(mapped()) <= 7 and len(mapped(batches._workers[0].pid)) <= 7
    assert len(seen) <= 18
    del batches, batch


def test_a_worker_is_killed():
    batches = iter(loader())
    batch = next(batches)
    os.kill(batches._workers[0].pid, signal.SIGKILL)
    batches._workers[0].join()
    with pytest.raises(RuntimeError, match=r'exited unexpectedly|killed'):
        list(batches)
    assert is_right(batch, 0)
    del batches
    assert all(is_right(b, 2 * i) for i, b in enumerate(loader()))
    assert is_right(batch, 0)


def test_workers_end_with_what_they_kept():
    batches = iter(loader(num_workers=2))
    for _ in range(9):
        next(batches)
    pids = [worker.pid for worker in batches._workers]
    assert mapped() and all(mapped(pid) for pid in pids)
    del batches
    assert not mapped() and not multiprocessing.active_children()
    assert not any(Path(f'/proc/{pid}').exists() for pid in pids)


def test_a_system_that_forbids_it(monkeypatch):
    def forbidden(*args):
        raise PermissionError('seccomp')

    monkeypatch.setattr(os, 'memfd_create', forbidden)
    for index, batch in enumerate(loader()):  # its worker is forked from here
        assert is_right(batch, 2 * index) and not mapped()
