"""Any timm model with its own classifier: measure it as it is, or fine-tune from there.

tools/test.py configs/cls/timm_classifier.py none --cfg-options data_root=/data/imagenet
"""

_base_ = [
    '../_base_/models/timm_classifier.py',
    '../_base_/datasets/cls/imagenet.py',
    '../_base_/schedules/adamw.py',
    '../_base_/runtime/cls.py',
]

image_size = '${backbone.preprocessing.size}'
reduce = False  # every pixel as timm has it
test_pipeline = [
    '${load_image}',
    dict(
        type='vitmm.TimmEval',
        size='${backbone.preprocessing.size}',
        interpolation='${backbone.preprocessing.interpolation}',
        crop_pct='${backbone.preprocessing.crop_pct}',
        crop_mode='${backbone.preprocessing.crop_mode}',
    ),
    dict(type='vitmm.Planes'),
    dict(type='mmpretrain.PackInputs'),
]

model = dict(backbone=dict(model_name='vit_tiny_patch16_224.augreg_in21k_ft_in1k', pretrained=True))
train_cfg = dict(max_epochs=5)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
