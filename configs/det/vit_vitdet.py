"""ViTDet: a plain ViT with windows, a pyramid of its last map, and large-scale jitter."""

_base_ = [
    '../_base_/models/vitdet.py',
    '../_base_/datasets/det/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/det.py',
]

# As small as small_faster_rcnn.py.
fpn_channels = 96
fc_channels = 256
out_strides = (8, 16, 32)
anchor_scales = [3]
anchor_strides = [8, 16, 32, 64, 128]
proposals = 300
roi_samples = 64
mask_head = dict(num_convs=2)
model = dict(
    data_preprocessor=dict(
        # Every image of the same size, as the paper has them.
        batch_augments=[
            dict(
                type='mmdet.BatchFixedSizePad',
                size=('${crop_size[1]}', '${crop_size[0]}'),
                pad_mask=True,
            )
        ]
    ),
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=6),  # half of it, to learn from nothing in minutes
        out_norm='final',
        window_size=7,
        global_blocks=2,
    ),
)
train_dataloader = dict(dataset=dict(pipeline='${jitter_pipeline}'))
train_cfg = dict(max_epochs=8)
