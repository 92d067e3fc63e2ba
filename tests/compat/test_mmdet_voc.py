"""VOC's figures leave no process behind."""

import subprocess
import sys

# In one process of two the pool's own threads ended it, and waited for ever.
CODE = """
import multiprocessing
import numpy as np
import vitmm
from mmdet.evaluation import eval_map

random = np.random.default_rng(0)
boxes = np.sort(random.random((6, 2, 3, 2, 2)) * 40, axis=-2).reshape(6, 2, 3, 4)
found = [[np.c_[b, random.random(3)] for b in image] for image in boxes]
truth = [dict(bboxes=image[:, 0], labels=np.array([0, 1])) for image in boxes]
for _ in range(3):
    mean, _ = eval_map(found, truth, dataset=['a', 'b'], logger='silent')
    assert 0 < mean <= 1
    assert not multiprocessing.active_children()
"""


def test_no_process_stays():
    for _ in range(4):
        subprocess.run([sys.executable, '-c', CODE], check=True, timeout=120)
