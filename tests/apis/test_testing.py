"""Evaluating a checkpoint leaves its training as it was."""

import pytest
from support import CONFIGS

from vitmm.apis.test import test as evaluate
from vitmm.compat.checkpoint import CheckpointError


def test_the_resolved_config_of_the_training_stays(trained, tmp_path):
    checkpoint = trained('cls')
    (config,) = (file for file in checkpoint.parent.glob('*.py') if '_test' not in file.name)
    before = config.read_text()
    evaluate(config, checkpoint, out=tmp_path / 'out.pkl', work_dir=checkpoint.parent)
    assert config.read_text() == before


@pytest.mark.parametrize('content', [None, b'no checkpoint'], ids=['missing', 'broken'])
def test_a_bad_checkpoint_is_told_of_before_anything_is_written(content, tiny_options, tmp_path):
    file = tmp_path / 'a.pth'
    if content:
        file.write_bytes(content)
    recipe = CONFIGS / 'cls' / 'vit_linear.py'
    with pytest.raises(CheckpointError, match=r'a\.pth (does not exist|cannot be read)'):
        evaluate(recipe, file, work_dir=tmp_path / 'out', options=tiny_options)
    assert not (tmp_path / 'out').exists()
