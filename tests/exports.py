"""What tests of exports share: a stranger who runs them, and boxes that are the same."""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from vitmm.export.files import OLDEST_ONNX

needs_onnx = pytest.mark.skipif(
    torch.__version__ < OLDEST_ONNX
    or not all(find_spec(name) for name in ('onnx', 'onnxruntime', 'onnxscript')),
    reason=f'needs torch {OLDEST_ONNX} or later, and pip install onnx onnxruntime onnxscript',
)
# What a user runs: nothing of vitmm, OpenMMLab or torch.
STRANGER = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
names = [one.name for one in session.get_outputs()]
found = session.run(None, {'images': np.load(sys.argv[2])})
np.savez(sys.argv[3], **dict(zip(names, found)))
assert 'torch' not in sys.modules
print(session.get_modelmeta().custom_metadata_map['classes'])
"""


def run_apart(model, images, tmp_path):
    """What ONNX Runtime makes of images, in a process of its own, and the classes it tells."""
    np.save(tmp_path / 'images.npy', images)
    command = [sys.executable, '-c', STRANGER, model, tmp_path / 'images.npy', tmp_path / 'out.npz']
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(np.load(tmp_path / 'out.npz')), json.loads(done.stdout)


def same_boxes(found, ours, slack=0.0):
    """``slack`` is what scores may differ by beside rounding."""
    count = len(ours)
    assert count > 5
    assert (found['labels'][0, :count] == ours.labels.numpy()).all()
    assert (found['labels'][0, count:] == -1).all()
    assert (np.abs(found['scores'][0, :count] - ours.scores.numpy()) <= 1e-5 + slack).all()
    np.testing.assert_allclose(found['boxes'][0, :count], ours.bboxes, atol=1e-3)
