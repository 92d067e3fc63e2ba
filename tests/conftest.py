"""Fixtures that every test may ask for."""

import gc
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from support import CONFIGS, COUNTS

import vitmm  # noqa: F401 (mmdet, which tests import before it, needs its operators)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is marked ``cuda`` where there is no GPU; ``-m cuda`` runs all of it."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('cuda'):
                item.add_marker(pytest.mark.skip(reason='needs a GPU'))


@pytest.fixture(scope='module', autouse=True)
def imports_set_aside() -> None:
    """What stays is not looked through whenever MMEngine collects garbage, for each data set."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_default_scope() -> None:
    """What a test before it was the last to ask for: else names are looked up there."""
    DefaultScope._instance_dict.clear()


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


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, also where the tests run in the background, and it stays so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.fixture(scope='session')
def trained(tiny_shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function: the checkpoint of a small model of a task after one epoch, trained once."""

    @cache
    def checkpoint(task: str) -> Path:
        from vitmm.apis.train import train
        from vitmm.datasets import write_rooms

        root, recipe, special = {
            'cls': (tiny_shapes, 'cls/vit_linear.py', {
                'image_size': 64, 'resize_edge': 64, 'default_hooks.ema.type': 'EMAHook',
            }),
            'det': (tiny_shapes, 'det/convnext_mask_rcnn.py', {
                # A detector that has hardly learnt finds nothing above the usual threshold.
                'image_scale': (96, 96), 'model.test_cfg.rcnn.score_thr': 0.0,
                'model.test_cfg.rcnn.max_per_img': 20,
            }),
            'seg': (tiny_shapes, 'seg/convnext_fcn.py', {
                'image_scale': (96, 96), 'crop_size': (64, 64),
            }),
            'depth': (None, 'depth/vit_depth.py', {}),
        }[task]  # fmt: skip
        root = root or write_rooms(tmp_path_factory.mktemp('data') / 'rooms', 8, 4)
        options = {
            'data_root': str(root),
            'prepare_data': None,
            'train_cfg.max_epochs': 1,
            'train_dataloader.num_workers': 0,
            'val_dataloader.num_workers': 0,
            'train_dataloader.batch_size': 4,
            'model.backbone.model_name': 'test_resnet',  # timm's smallest
            'env_cfg.mp_cfg': {},
            **special,
        }
        out = tmp_path_factory.mktemp(task) / f'small_{task}'
        train(CONFIGS / recipe, work_dir=out, options=options)
        return out / 'epoch_1.pth'

    return checkpoint
