"""ViTDet: Mask R-CNN on a plain ViT-B from MAE, with large-scale jitter.

Source: https://arxiv.org/abs/2203.16527; detectron2 projects/ViTDet, mask_rcnn_vitdet_b_100ep.py
Target: box AP 51.6, mask AP 45.9
Note: timm's ViT has no relative positions, which ViTDet adds; train with --amp, as published.
"""

_base_ = [
    '../../_base_/models/vitdet.py',
    '../../_base_/datasets/det/coco2017.py',
    '../../_base_/schedules/adamw_vitdet.py',
    '../../_base_/runtime/det.py',
]

image_scale = (1024, 1024)
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),  # every image is a square, in tests as well
    backbone=dict(model_name='vit_base_patch16_224.mae', pretrained=True, drop_path_rate=0.1),
)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(pipeline='${jitter_pipeline}'),
)
# detectron2 spares norms and position embeddings, and lets biases decay.
_norms = ['norm', '.ln.', 'neck.resample.0.layers.1.', 'pos_embed', 'cls_token']
_norms += [f'neck.lateral.{level}.{place}.' for level in range(4) for place in (1, 3)]
optim_wrapper = dict(
    paramwise_cfg=dict(
        flat_decay_mult=1.0,
        custom_keys={name: dict(decay_mult=0.0) for name in _norms},
    ),
)
