"""Fixtures that every test may ask for."""

from pathlib import Path

import pytest
from support import COUNTS


@pytest.fixture(scope='session')
def tiny_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a shapes data set of a dozen images."""
    from vitmm.datasets.image_labels import write_labelled_shapes

    root = write_labelled_shapes(tmp_path_factory.mktemp('data') / 'shapes', **COUNTS)
    for name, target in (
        ('annotations', 'coco'),
        ('train', 'imagefolder/train'),
        ('val', 'imagefolder/val'),
    ):
        (root / name).symlink_to(target)  # where the recipes of photographs look
    return root


@pytest.fixture
def tiny_options(tiny_shapes: Path) -> dict:
    """Options that make any starter recipe train one quick epoch on the tiny data set."""
    return {
        'data_root': str(tiny_shapes),
        'prepare_data': dict(type='vitmm.write_shapes', root=str(tiny_shapes), **COUNTS),
        'train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 0,
        'val_dataloader.num_workers': 0,
        'train_dataloader.batch_size': 4,
        'env_cfg.mp_cfg': {},
    }
