"""A run over bad data: it stops, or goes on without what is bad."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from support import CONFIGS

from vitmm.apis.bad_data import check_or_leave_out
from vitmm.apis.scalars import last_scores
from vitmm.apis.train import train
from vitmm.config import load_config, resolve
from vitmm.errors import ConfigError, VitmmError


@pytest.fixture
def spoiled(tiny_shapes, tmp_path, tiny_options):
    """A copy of the set, and options that train on it; no longer the set that it was."""
    root = shutil.copytree(tiny_shapes, tmp_path / 'spoiled')
    return root, {**tiny_options, 'data_root': str(root), 'prepare_data': None}


def test_detection(spoiled, tmp_path):
    root, options = spoiled
    options |= {'image_scale': (96, 96), 'model.test_cfg.score_thr': 0.0}
    (root / 'JPEGImages/val_00000.jpg').unlink()
    path = root / 'coco/instances_train.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['bbox'][2:] = [0, 0]
    path.write_text(json.dumps(content))
    recipe = CONFIGS / 'det/vit_retinanet.py'
    with pytest.raises(VitmmError, match=r'has no area; mend it, or .* bad_data=skip'):
        train(recipe, work_dir=tmp_path / 'a', options=options)
    with pytest.raises(ConfigError, match="'stop' or 'skip', not 'ignore'"):
        train(recipe, work_dir=tmp_path / 'a', options={**options, 'bad_data': 'ignore'})
    assert not (tmp_path / 'a').exists()
    runner = train(recipe, work_dir=tmp_path / 'runs/a', options={**options, 'bad_data': 'skip'})
    assert len(runner.val_dataloader.dataset) == 3
    dumped = Config.fromfile(tmp_path / 'runs/a/vit_retinanet.py')
    listed = dumped.val_evaluator.ann_file
    assert listed == dumped.val_dataloader.dataset.ann_file
    assert 'val_00000' not in Path(listed).read_text()  # else it would count as missed
    assert last_scores(next((tmp_path / 'runs/a').glob('*/vis_data/scalars.json')))


def test_nothing_is_bad(spoiled, tmp_path):
    root, options = spoiled
    cfg = resolve(load_config(CONFIGS / 'det/vit_retinanet.py', options=options))
    cfg.work_dir, cfg.bad_data = str(tmp_path / 'a'), 'skip'
    check_or_leave_out(cfg, 'val_dataloader')
    assert Path(cfg.val_evaluator.ann_file) == root / 'coco/instances_val.json'


def test_segmentation(spoiled, tmp_path):
    root, options = spoiled
    options |= {'image_scale': (96, 96), 'crop_size': (96, 96), 'model.decode_head.channels': 8}
    path = root / 'SegmentationClass/train_00003.png'
    mask = np.asarray(Image.open(path)).copy()
    mask[:] = 77
    Image.fromarray(mask).save(path)
    recipe = CONFIGS / 'seg/vit_fcn.py'
    with pytest.raises(VitmmError, match=r'train_00003\.png has the value 77 .* 0 to 6, and 255'):
        train(recipe, work_dir=tmp_path / 'runs/a', options=options)
    runner = train(recipe, work_dir=tmp_path / 'runs/b', options={**options, 'bad_data': 'skip'})
    assert len(runner.train_dataloader.dataset) == 11


def test_classification(spoiled, tmp_path):
    root, options = spoiled
    options |= {'image_size': 64, 'resize_edge': 64, 'bad_data': 'skip'}
    next((root / 'imagefolder/train/star').glob('*.jpg')).write_bytes(b'no image')
    runner = train(CONFIGS / 'cls/vit_linear.py', work_dir=tmp_path / 'runs/a', options=options)
    assert len(runner.train_dataloader.dataset) == 23
