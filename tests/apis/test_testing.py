"""Evaluating a checkpoint leaves its training as it was."""

from vitmm.apis.test import test as evaluate


def test_the_resolved_config_of_the_training_stays(trained, tmp_path):
    checkpoint = trained('cls')
    (config,) = (file for file in checkpoint.parent.glob('*.py') if '_test' not in file.name)
    before = config.read_text()
    evaluate(config, checkpoint, out=tmp_path / 'out.pkl', work_dir=checkpoint.parent)
    assert config.read_text() == before
