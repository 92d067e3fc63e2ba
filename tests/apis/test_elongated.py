"""Images of 1 x 2000 pixels: trained on, tested and predicted at their own size."""

import json

import numpy as np
import pytest
from PIL import Image
from support import CONFIGS

from vitmm.apis.check_data import check_data
from vitmm.apis.inference import Predictor, infer
from vitmm.apis.scalars import last_scores
from vitmm.apis.train import train

SIZES = [(1, 2000), (2000, 1), (3, 3)]  # (w, h)
COCO = {
    'image_scale': (133, 80),
    'train_ann': 'coco.json',
    'val_ann': 'coco.json',
    'train_images': 'images/',
    'val_images': 'images/',
    'train_dataloader.dataset.filter_cfg': {'min_size': 0},
}
TASKS = {
    'boxes': ('det/vit_retinanet.py', {**COCO, 'model.test_cfg.score_thr': 0.0}),
    'masks': (
        'det/convnext_mask_rcnn.py',
        {**COCO, 'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 9},
    ),
    'seg': (
        'seg/convnext_fcn.py',
        {
            'image_scale': (133, 80),
            'crop_size': (64, 64),
            'train_images': 'images',
            'val_images': 'images',
            'train_masks': 'masks',
            'val_masks': 'masks',
            'train_list': '',
            'val_list': '',
        },
    ),
}


@pytest.fixture
def root(tmp_path):
    """A set of such images, each all of one object."""
    images, annotations = [], []
    for folder in ('images', 'masks'):
        (tmp_path / 'data' / folder).mkdir(parents=True)
    for number, (width, height) in enumerate(SIZES, 1):
        name = f'{width}x{height}'
        values = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
        Image.fromarray(values).save(tmp_path / f'data/images/{name}.jpg')
        mask = np.ones((height, width), np.uint8)
        Image.fromarray(mask).save(tmp_path / f'data/masks/{name}.png')
        images.append(dict(id=number, file_name=f'{name}.jpg', width=width, height=height))
        annotations.append(
            dict(
                id=number,
                image_id=number,
                category_id=1,
                iscrowd=0,
                area=width * height,
                bbox=[0, 0, width, height],
                segmentation=[[0, 0, width, 0, width, height, 0, height]],
            )
        )
    categories = [dict(id=1, name='one'), dict(id=2, name='two')]
    content = dict(images=images, annotations=annotations, categories=categories)
    (tmp_path / 'data/coco.json').write_text(json.dumps(content))
    (tmp_path / 'data/classes.txt').write_text('one\ntwo\n')
    return tmp_path / 'data'


@pytest.mark.parametrize('task', TASKS)
def test_from_training_to_predictions(task, root, tiny_options, tmp_path):
    recipe, options = TASKS[task]
    options = {
        **tiny_options,
        **options,
        'data_root': str(root),
        'prepare_data': None,
        'bad_data': 'stop' if task == 'boxes' else 'skip',
        'model.backbone.model_name': 'test_resnet',
    }
    assert not any(report.faults for report in check_data(CONFIGS / recipe, options=options))
    runner = train(CONFIGS / recipe, work_dir=tmp_path / 'runs/a', options=options)
    assert len(runner.train_dataloader.dataset) == len(SIZES)
    assert last_scores(next((tmp_path / 'runs/a').glob('*/vis_data/scalars.json')))
    checkpoint, out = tmp_path / 'runs/a/epoch_1.pth', tmp_path / 'out'
    assert infer(checkpoint, root / 'images', out).startswith('3 images')
    for width, height in SIZES:
        name = f'{width}x{height}'
        ((_, sample),) = Predictor(checkpoint)(root / f'images/{name}.jpg')
        assert Image.open(out / f'pictures/{name}.jpg').size == (width, height)
        if task == 'seg':
            assert sample.pred_sem_seg.data.shape == (1, height, width)
            assert Image.open(out / f'masks/{name}.png').size == (width, height)
            continue
        boxes = sample.pred_instances.bboxes.numpy()
        assert len(boxes) and boxes.min() >= 0
        assert (boxes <= [width, height, width, height]).all()
        assert boxes[:, 2].max() > 0.9 * width and boxes[:, 3].max() > 0.9 * height
        if task == 'masks':
            assert sample.pred_instances.masks.shape == (len(boxes), height, width)
