"""Large-scale jitter, for heads of boxes and of masks."""

import numpy as np
import pytest
from mmengine.registry import DATASETS, init_default_scope
from support import CONFIGS

from vitmm.config import load_config, resolve

JITTER = {'train_dataloader.dataset.pipeline': '${jitter_pipeline}', 'crop_size': (144, 128)}


@pytest.mark.parametrize('recipe', ['vit_vitdet', 'vit_retinanet'])
def test_jitter(recipe, tiny_options):
    options = {**tiny_options, **JITTER}
    config = resolve(load_config(CONFIGS / 'det' / f'{recipe}.py', options=options))
    init_default_scope('mmdet')
    np.random.seed(0)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    scales = []
    for index in [*range(len(dataset))] * 2:
        sample = dataset[index]
        height, width = sample['inputs'].shape[1:]
        assert height <= 128 and width <= 144
        truth = sample['data_samples']
        assert truth.img_shape == (height, width)
        scales.append(truth.scale_factor[0])
        boxes = truth.gt_instances.bboxes.tensor.numpy()
        assert (boxes >= 0).all() and (boxes[:, [0, 2]] <= width).all()
        assert (boxes[:, [1, 3]] <= height).all() and (boxes[:, 2:] > boxes[:, :2]).all()
        if recipe == 'vit_vitdet':
            for mask, box in zip(truth.gt_instances.masks.masks, boxes, strict=True):
                assert mask.shape == (height, width)
                rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
                tight = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
                np.testing.assert_array_equal(box, tight)
    assert min(scales) < 0.3 and max(scales) > 1
