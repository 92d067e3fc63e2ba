"""VOC's figures leave no process behind."""

import multiprocessing
from multiprocessing.pool import Pool

import numpy as np
from mmdet.evaluation import eval_map


def test_no_process_stays(monkeypatch):
    """A pool that nobody joins may end itself in its own threads, and wait for ever."""
    made, joined = [], []
    init, join = Pool.__init__, Pool.join

    def begin(pool, *args, **kwargs):
        made.append(pool)
        init(pool, *args, **kwargs)

    def end(pool):
        joined.append(pool)
        join(pool)

    monkeypatch.setattr(Pool, '__init__', begin)
    monkeypatch.setattr(Pool, 'join', end)
    random = np.random.default_rng(0)
    boxes = np.sort(random.random((6, 2, 3, 2, 2)) * 40, axis=-2).reshape(6, 2, 3, 4)
    found = [[np.c_[b, random.random(3)] for b in image] for image in boxes]
    truth = [dict(bboxes=image[:, 0], labels=np.array([0, 1])) for image in boxes]
    mean, _ = eval_map(found, truth, dataset=['a', 'b'], logger='silent')
    assert 0 < mean <= 1
    assert made == joined and len(made) == 1
    assert not multiprocessing.active_children()
