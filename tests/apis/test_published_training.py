"""The published recipes in small: they train and resume by iterations, and read photographs."""

import pytest
import torch
from support import PUBLISHED

from vitmm.config import load_config, resolve

PATHS = {path.stem: path for path in PUBLISHED}
PLAIN = dict(depth=12, embed_dim=24, num_heads=1)
SMALL = {  # for each neck and loop that the starters have not
    'upernet_vit-base-p16-mae_8xb2-160k_ade20k-512x512': PLAIN,
    'upernet_vit-base-p16_8xb2-160k_ade20k-512x512': PLAIN,
    'mask-rcnn_vit-base-p16-mae_sfpn_8xb8-lsj-100e_coco': dict(depth=4, embed_dim=24, num_heads=1),
}


@pytest.mark.parametrize('name', SMALL)
def test_trains_and_resumes_by_iterations(name, tmp_path, tiny_options):
    from vitmm.apis.train import train

    config = load_config(PATHS[name])
    options = {
        **{key: value for key, value in tiny_options.items() if 'max_epochs' not in key},
        **{key: 32 for key in ('head_channels', 'fpn_channels', 'fc_channels') if key in config},
        'model.backbone.pretrained': False,
        'model.backbone.model_kwargs': SMALL[name],
        'train_dataloader.batch_size': 2,
        'train_cfg.val_interval': 2,
        'default_hooks.checkpoint.interval': 2,
        'warmup_iters': 1,
        'crop_size': (64, 64),
        'image_scale': (64, 64),
    }
    if name.endswith('coco'):
        options |= {'model.data_preprocessor.pad_size_divisor': 64, 'milestones': [1, 2]}
    else:
        options['model.test_cfg'] = dict(_delete_=True, mode='whole')
    for length in (2, 4) if 'upernet_vit-base-p16-mae' in name else (2,):
        runner = train(
            PATHS[name],
            data='shapes',
            work_dir=tmp_path,
            resume=True,
            options={**options, 'train_cfg.max_iters': length},
        )
        assert runner.iter == length and (tmp_path / f'iter_{length}.pth').exists()


def test_training_images(tiny_shapes):
    """Both training pipelines of their own, on photographs in JPEG."""
    from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope

    options = {
        'data_root': str(tiny_shapes),
        'train_ann': 'coco/instances_train.json',
        'train_images': 'JPEGImages/',
        'val_ann': 'coco/instances_val.json',
    }
    path = PATHS['mask-rcnn_swin-tiny-p4-w7_fpn_8xb2-ms-crop-3x_coco']
    config = resolve(load_config(path, options=options))
    init_default_scope('mmdet')
    data = DATASETS.build(config.train_dataloader.dataset)
    for number in range(6):
        sample = data[number]
        height, width = sample['inputs'].shape[1:]
        assert min(height, width) >= 479 and max(height, width) <= 1333
        found = sample['data_samples'].gt_instances
        assert found.masks.masks.shape == (len(found), height, width)

    path = PATHS['swin-tiny-p4-w7_16xb64-300e_in1k']
    steps = load_config(path).train_pipeline
    steps[0] = dict(type='vitmm.LoadImage', reduce=True)
    steps[1].update(scale=224, crop_ratio_range=(0.08, 1.0))
    init_default_scope('mmpretrain')
    steps = [TRANSFORMS.build(step) for step in steps]
    photograph = next((tiny_shapes / 'JPEGImages').glob('*.jpg'))
    for _ in range(12):
        results = dict(img_path=str(photograph), gt_label=1)
        for step in steps:
            results = step(results)
        assert results['inputs'].shape == (3, 224, 224)
        assert results['inputs'].dtype == torch.uint8
