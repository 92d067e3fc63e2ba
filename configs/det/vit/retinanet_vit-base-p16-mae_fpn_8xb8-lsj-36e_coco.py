"""RetinaNet on a plain ViT-B from MAE, with large-scale jitter.

Source: ours; learns as ViTDet does (https://arxiv.org/abs/2203.16527), for 36 of its 100 epochs
Target: no published number exists
"""

_base_ = [
    '../../_base_/models/retinanet.py',
    '../../_base_/datasets/det/coco2017.py',
    '../../_base_/schedules/adamw_vitdet.py',
    '../../_base_/runtime/det.py',
]

image_scale = (1024, 1024)
milestones = [59000, 63916]  # 8/9 and 26/27 of it, as ViTDet
norm_cfg = dict(_delete_=True, type='GN', num_groups=32)
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),
    backbone=dict(
        model_name='vit_base_patch16_224.mae',
        pretrained=True,
        out_norm='final',
        drop_path_rate=0.1,
        window_size=14,
        global_blocks=4,
    ),
)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(pipeline='${jitter_pipeline}'),
)
train_cfg = dict(max_iters=66375)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
