"""mmpretrain beside a transformers that lacks what its multimodal models import."""

import os
import subprocess
import sys

from support import on_path

SCRIPT = """
import vitmm
from mmpretrain.registry import MODELS
MODELS.build(dict(type='mmpretrain.LinearClsHead', num_classes=2, in_channels=4))
try:
    MODELS.build(dict(type='mmpretrain.BlipCaption'))
except ImportError as error:
    print(error)
"""


def test_classifiers_are_there_and_multimodal_models_say_what_they_need(tmp_path):
    (tmp_path / 'transformers').mkdir()
    (tmp_path / 'transformers/__init__.py').write_text('')
    (tmp_path / 'transformers/modeling_utils.py').write_text('class PreTrainedModel: ...')
    (tmp_path / 'transformers-5.0.0.dist-info').mkdir()
    (tmp_path / 'transformers-5.0.0.dist-info/METADATA').write_text(
        'Metadata-Version: 2.1\nName: transformers\nVersion: 5.0.0\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        env={**os.environ, **on_path(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'requires extra multi-modal dependencies' in done.stdout
