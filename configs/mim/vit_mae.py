"""MAE on a plain ViT. Its checkpoint is a backbone for the other recipes on it:

python tools/train.py configs/mim/vit_mae.py
python tools/train.py configs/cls/vit_linear.py --cfg-options \
    model.backbone.pretrained=work_dirs/vit_mae/epoch_40.pth
"""

_base_ = [
    '../_base_/models/mae.py',
    '../_base_/datasets/mim/shapes.py',
    '../_base_/schedules/pretrain.py',
    '../_base_/runtime/mim.py',
]

decoder_channels = 96
decoder_depth = 2
decoder_heads = 3
model = dict(
    backbone=dict(
        model_name='vit_tiny_patch16_224',
        model_kwargs=dict(depth=6),  # half of it, as the recipes that take its checkpoint
    )
)
train_cfg = dict(max_epochs=40)
