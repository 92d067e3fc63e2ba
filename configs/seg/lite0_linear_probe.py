"""What an ImageNet-trained EfficientNet-Lite0 knows: a linear layer on its frozen features."""

_base_ = [
    '../_base_/models/linear_probe.py',
    '../_base_/datasets/seg/shapes.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/seg.py',
]

model = dict(
    backbone=dict(
        model_name='tf_efficientnet_lite0',
        pretrained='data/weights/tf_efficientnet_lite0.safetensors',
        out_indices=(3,),  # stride 16
    )
)
train_cfg = dict(max_epochs=4)
