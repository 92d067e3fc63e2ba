"""Other channels than RGB through every task: train, validate, test, draw."""

import cv2
import numpy as np
import pytest
from multiband import write_multiband
from support import CONFIGS, as_cfg_options, fork_tool

from vitmm.apis.test import test as evaluate
from vitmm.apis.train import train

RECIPES = {
    'det': ('det/vit_retinanet.py', 'coco', 'coco/bbox_mAP'),
    'seg': ('seg/vit_fcn.py', 'folder', 'mIoU'),
    'cls': ('cls/vit_linear.py', 'imagefolder', 'accuracy/top1'),
}
OWN = {
    'det': {
        'train_ann': 'train.json',
        'train_images': 'JPEGImages/',
        'val_ann': 'val.json',
        'val_images': 'JPEGImages/',
        'image_scale': (64, 64),
        'train_dataloader.dataset.filter_cfg.min_size': 1,
        # A detector that has hardly learnt finds nothing above the usual threshold.
        'model.test_cfg.score_thr': 0.0,
    },
    'seg': {
        'train_images': 'JPEGImages',
        'train_masks': 'SegmentationClass',
        'train_list': 'ImageSets/Segmentation/train.txt',
        'val_images': 'JPEGImages',
        'val_masks': 'SegmentationClass',
        'val_list': 'ImageSets/Segmentation/val.txt',
        'image_suffix': '.tif',
        'image_scale': (64, 64),
        'crop_size': (64, 64),
    },
    'cls': {'image_size': 64, 'resize_edge': 64},
}


@pytest.fixture(scope='module')
def multiband(tiny_shapes, tmp_path_factory):
    """A function that gives the root of the tiny data set with ``bands`` of ``kind``."""
    made = {}

    def make(bands, kind):
        if (bands, kind) not in made:
            root = tmp_path_factory.mktemp(f'{kind}x{bands}')
            made[bands, kind] = write_multiband(tiny_shapes, root, bands, kind)
        return made[bands, kind]

    return make


def options_for(task, root):
    return {
        **OWN[task],
        'data_root': str(root / 'imagefolder' if task == 'cls' else root),
        'train_cfg.max_epochs': 1,
        'train_dataloader.num_workers': 0,
        'val_dataloader.num_workers': 0,
        'train_dataloader.batch_size': 4,
        'default_hooks.logger.interval': 1,
    }


@pytest.mark.parametrize(
    ('task', 'bands', 'kind', 'tta'),
    [
        ('det', 4, 'uint16', True),
        ('det', 1, 'uint8', False),
        ('seg', 12, 'uint16', True),
        ('seg', 3, 'uint16', False),  # no 8-bit RGB, whose colours could be distorted
        ('cls', 12, 'uint8', False),
        ('cls', 4, 'float32', True),
    ],
)
def test_train_validate_test_and_draw(task, bands, kind, tta, multiband, tmp_path):
    recipe, data, metric = RECIPES[task]
    options = options_for(task, multiband(bands, kind)) | {'model.backbone.in_chans': bands}
    runner = train(CONFIGS / recipe, work_dir=tmp_path, data=data, options=options)
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) >= 3 and np.isfinite(losses).all()
    stem = next(p for p in runner.model.backbone.parameters() if p.ndim == 4)
    assert stem.shape[1] == bands

    dumped = tmp_path / (CONFIGS / recipe).name
    last = (tmp_path / 'last_checkpoint').read_text()
    shown, again = tmp_path / 'shown', {'work_dir': tmp_path / 'test'}
    figures = evaluate(dumped, last, show_dir=shown, **again)
    assert np.isfinite(figures[metric])
    pictures = [p for p in shown.rglob('*') if p.suffix in ('.png', '.tif')]
    assert len(pictures) == len(runner.val_dataloader.dataset)
    assert all(cv2.imread(str(p)).std() > 5 for p in pictures)  # something is to be seen
    if tta:
        assert np.isfinite(evaluate(dumped, last, tta=True, **again)[metric])


def test_channels_that_were_not_said(multiband, tmp_path):
    options = options_for('seg', multiband(4, 'uint16')) | {'train_dataloader.num_workers': 1}
    words = ['--data', 'folder', '--work-dir', tmp_path, '--cfg-options', *as_cfg_options(options)]
    done = fork_tool('train.py', CONFIGS / RECIPES['seg'][0], *words)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith('error: '))
    assert '.tif has 4 bands' in line and 'set model.backbone.in_chans=4' in line
