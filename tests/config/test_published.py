"""The published recipes against what their papers and repositories say, and as they are built."""

import json
import re
from functools import cache

import pytest
import timm
import torch
from papers import IMAGENET, PAPERS, SQUARE
from support import PUBLISHED, RECIPES

from vitmm.config import load_config, resolve

PATHS = {path.stem: path for path in PUBLISHED}
EACH = pytest.mark.parametrize('name', PAPERS)


@pytest.fixture(scope='module')
def resolved(tmp_path_factory):
    """A function from the name of a recipe to its resolved config; no data is there but names."""
    from mmdet.datasets import CocoDataset

    root = tmp_path_factory.mktemp('names')
    names = CocoDataset.METAINFO['classes']
    coco = dict(
        images=[dict(id=1, file_name='1.jpg', height=8, width=8)],
        annotations=[],
        categories=[dict(id=number, name=name) for number, name in enumerate(names)],
    )
    (root / 'annotations').mkdir()
    for split in ('train', 'val'):
        (root / f'annotations/instances_{split}2017.json').write_text(json.dumps(coco))
    for number in range(1000):
        (root / f'train/n{number:08d}').mkdir(parents=True)
    return cache(lambda name: resolve(load_config(PATHS[name], options={'data_root': str(root)})))


@pytest.fixture(scope='module')
def built(resolved):
    """A function from the name of a recipe to its model, without memory."""
    from mmengine.registry import MODELS, init_default_scope

    @cache
    def build(name):
        config = resolved(name)
        init_default_scope(config.default_scope)
        with torch.device('meta'):
            return MODELS.build(config.model)

    return build


def test_table_is_complete():
    assert set(PAPERS) == set(PATHS) and len(PATHS) == len(PUBLISHED)
    # A run's folder is called after the file.
    assert not set(PATHS) & {path.stem for path in RECIPES}


def test_no_two_are_the_same(resolved):
    texts = [json.dumps(resolved(n).to_dict(), sort_keys=True, default=str) for n in PAPERS]
    assert len(set(texts)) == len(texts)
    assert not any('${' in text for text in texts)


@EACH
def test_optimiser(name, resolved):
    config, paper = resolved(name), PAPERS[name]
    wrapper = config.optim_wrapper
    assert wrapper.optimizer.type == 'AdamW' and tuple(wrapper.optimizer.betas) == (0.9, 0.999)
    assert wrapper.optimizer.lr == paper.lr
    assert wrapper.optimizer.weight_decay == paper.decay
    assert (wrapper.get('clip_grad') or {}).get('max_norm') == paper.clip
    gpus, images = map(int, re.search(r'_(\d+)xb(\d+)-', name).groups())
    assert config.train_dataloader.batch_size == images
    assert config.auto_scale_lr == dict(base_batch_size=gpus * images)
    assert gpus * images * wrapper.get('accumulative_counts', 1) == paper.batch
    # Keys that are read by nothing, as mmseg's fp16 is.
    assert 'fp16' not in config and 'optimizer' not in config


@EACH
def test_schedule(name, resolved):
    config, paper = resolved(name), PAPERS[name]
    by_epoch = paper.length < 1000
    length = config.train_cfg.max_epochs if by_epoch else config.train_cfg.max_iters
    assert length == paper.length
    assert ('Epoch' in config.train_cfg.type) is by_epoch
    *warm, last = config.param_scheduler
    assert last.type == paper.end and last.end == length and last.by_epoch is by_epoch
    count, factor = paper.warmup
    assert [(w.begin, w.end, w.start_factor) for w in warm] == ([(0, count, factor)] * bool(count))
    if last.type == 'MultiStepLR':
        expected = {184375: [163889, 177546], 36: [27, 33]}
        part = [milestone / length for milestone in last.milestones]
        whole = 36 if by_epoch else 184375
        assert part == pytest.approx([m / whole for m in expected[whole]], abs=1e-4)
    else:
        assert last.begin == count and warm[0].by_epoch is by_epoch
        assert last.get('power', 1.0) == 1.0
    checkpoint = config.default_hooks.checkpoint
    if by_epoch:
        assert checkpoint.interval == 1 and config.log_processor.by_epoch
        assert config.train_dataloader.sampler.type == 'DefaultSampler'
    else:
        assert checkpoint.by_epoch is config.log_processor.by_epoch is False
        assert checkpoint.interval == config.train_cfg.val_interval
        assert config.train_dataloader.sampler.type == 'InfiniteSampler'


@pytest.mark.parametrize(
    ('name', 'least'),
    [  # min_lr of MAE's main_finetune.py; eta_min of mmpretrain's imagenet_bs1024_adamw_swin.py
        ('vit-base-p16-mae_8xb128-100e_in1k', 1e-6),
        ('vit-large-p16-mae_8xb128-50e_in1k', 1e-6),
        ('swin-tiny-p4-w7_16xb64-300e_in1k', 1e-5),
        ('convnext-tiny_32xb128-300e_in1k', 1e-5),
    ],
)
def test_least_rate(name, least, resolved):
    assert resolved(name).param_scheduler[-1].eta_min_ratio * PAPERS[name].lr == pytest.approx(
        least
    )


@EACH
def test_model(name, resolved, built):
    config, paper = resolved(name), PAPERS[name]
    backbone = config.model.backbone
    assert (backbone.get('drop_path_rate') or 0.0) == paper.drop_path
    pixels = config.model.data_preprocessor
    assert (pixels.mean, pixels.std) == IMAGENET
    if backbone.get('pretrained'):
        assert backbone.model_name in timm.list_pretrained()
        assert '.' in backbone.model_name  # the weights are named, not left to timm
    else:
        assert '.' not in backbone.model_name
    if 'swin' in name and 'in1k' not in name:
        assert backbone.model_kwargs == dict(always_partition=True)
    if ('swin' in name or 'convnext' in name) and 'in1k' not in name:
        assert backbone.out_norm == 'layer'
    model = built(name)
    learning = [p for p in model.backbone.parameters() if p.requires_grad]
    assert bool(learning) is not name.startswith('linear')


@pytest.mark.parametrize('name', [n for n in PAPERS if n.endswith('_coco')])
def test_detection(name, resolved):
    config, paper = resolved(name), PAPERS[name]
    jitter = 'lsj' in name
    steps = config.train_dataloader.dataset.pipeline
    masks = [step.with_mask for step in steps if step.type == 'mmdet.LoadAnnotations']
    assert masks == ['mask-rcnn' in name]
    (resize,) = (s for s in config.val_dataloader.dataset.pipeline if s.type == 'mmdet.Resize')
    assert tuple(resize.scale) == paper.test and resize.keep_ratio
    if jitter:  # detectron2 configs/common/coco_loader_lsj.py
        (step,) = (step for step in steps if step.type == 'RandomResize')
        assert (tuple(step.scale), tuple(step.ratio_range)) == (SQUARE, (0.1, 2.0))
        assert config.model.data_preprocessor.pad_size_divisor == 1024
    else:
        (choice,) = (step for step in steps if step.type == 'RandomChoice')
        (whole,), (first, crop, again) = choice.transforms
        sides = [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800]
        assert [tuple(s) for s in whole.scales] == [(side, 1333) for side in sides]
        assert again == whole
        longest = 4200 if name.startswith('dino') else 1333
        assert [tuple(s) for s in first.scales] == [(side, longest) for side in (400, 500, 600)]
        assert tuple(crop.crop_size) == (384, 600) and crop.crop_type == 'absolute_range'
    empty = config.train_dataloader.dataset.filter_cfg.filter_empty_gt
    assert empty is not name.startswith('dino')


@pytest.mark.parametrize('name', [n for n in PAPERS if 'ade20k' in n])
def test_segmentation(name, resolved):
    config, paper = resolved(name), PAPERS[name]
    side = 640 if '640' in name else 512
    steps = {step.type: step for step in config.train_dataloader.dataset.pipeline}
    assert tuple(steps['RandomResize'].scale) == (4 * side, side)
    assert tuple(steps['RandomResize'].ratio_range) == (0.5, 2.0)
    assert tuple(steps['mmseg.RandomCrop'].crop_size) == (side, side)
    assert steps['mmseg.RandomCrop'].cat_max_ratio == 0.75
    assert tuple(config.model.data_preprocessor.size) == (side, side)
    assert config.model.data_preprocessor.test_cfg is None
    test = config.model.test_cfg
    if paper.test is None:
        assert test.mode == 'whole'
    else:
        assert test.mode == 'slide'
        assert (tuple(test.crop_size), tuple(test.stride)) == paper.test
    head = config.model.decode_head
    assert head.num_classes == 150 and config.sync_bn == 'torch'
    if name.startswith('linear'):
        assert head.dropout_ratio == (0.1 if 'dinov3' in name else 0.0)  # their config.py, BNHead
        return
    if name.startswith('dpt'):
        assert (head.type, head.channels, head.readout_type) == ('vitmm.DPTHead', 256, 'project')
        assert head.dropout_ratio == 0.1 and config.model.get('auxiliary_head') is None
        assert list(head.post_process_channels) == [96, 192, 384, 768]
        assert tuple(config.model.backbone.out_indices) == (2, 5, 8, 11)
        return
    wide = {'beit-large': 1024, 'beit-base': 768, 'base-p16-mae': 768}
    assert head.channels == next((v for k, v in wide.items() if k in name), 512)
    assert config.model.auxiliary_head.channels == 256
    assert config.model.auxiliary_head.loss_decode.loss_weight == 0.4
    taps = {'beit-large': (7, 11, 15, 23), 'beit-base': (3, 5, 7, 11), 'mae': (3, 5, 7, 11)}
    taps |= {'_vit-base-p16_': (2, 5, 8, 11), 'deit': (2, 5, 8, 11)}
    expected = next((v for k, v in taps.items() if k in name), None)
    found = config.model.backbone.get('out_indices')
    assert (tuple(found) if found else None) == expected


@pytest.mark.parametrize('name', [n for n in PAPERS if n.endswith('in1k')])
def test_classification(name, resolved):
    config, paper = resolved(name), PAPERS[name]
    steps = {step.type: step for step in config.train_dataloader.dataset.pipeline}
    augment, erase = steps['mmpretrain.RandAugment'], steps['mmpretrain.RandomErasing']
    assert (augment.magnitude_level, augment.magnitude_std, augment.num_policies) == (9, 0.5, 2)
    assert (erase.erase_prob, erase.mode) == (0.25, 'rand')
    # Where the preprocessor has the key, mmpretrain no longer looks into train_cfg.
    mixing = config.model.data_preprocessor.batch_augments
    mixes = [(mix.type, mix.alpha) for mix in mixing.augments]
    assert mixes == [('mmpretrain.Mixup', 0.8), ('mmpretrain.CutMix', 1.0)]
    assert config.model.head.loss.label_smooth_val == 0.1
    test = {step.type: step for step in config.val_dataloader.dataset.pipeline}
    crops = test['mmpretrain.ResizeEdge'].scale, test['mmpretrain.CenterCrop'].crop_size
    assert crops == paper.test
    averaged = [hook.momentum for hook in config.custom_hooks if hook.type == 'EMAHook']
    assert averaged == ([1e-4] if name.startswith('convnext') else [])


def test_heads_that_differ(resolved):
    vitdet = resolved('mask-rcnn_vit-large-p16-mae_sfpn_8xb8-lsj-100e_coco').model
    assert (vitdet.backbone.window_size, vitdet.backbone.global_blocks) == (14, 4)
    assert vitdet.rpn_head.num_convs == 2
    assert vitdet.roi_head.bbox_head.type == 'mmdet.Shared4Conv1FCBBoxHead'
    name = 'cascade-mask-rcnn_convnext-base_fpn_8xb2-4conv1fc-giou-ms-crop-3x_coco'
    for head in resolved(name).model.roi_head.bbox_head:
        assert head.type == 'mmdet.Shared4Conv1FCBBoxHead' and head.reg_decoded_bbox
        assert not head.reg_class_agnostic
        assert head.loss_bbox == dict(type='mmdet.GIoULoss', loss_weight=10.0)
    dino = resolved('dino-5scale_swin-large-p4-w12_8xb2-36e_coco').model
    assert dino.num_queries == 900 and dino.test_cfg.max_per_img == 300
    assert dino.num_feature_levels == dino.neck[1].num_outs == 5
    assert dino.encoder.layer_cfg.self_attn_cfg.num_levels == 5
    assert dino.decoder.layer_cfg.cross_attn_cfg.num_levels == 5
    assert list(dino.neck[1].in_channels) == [192, 384, 768, 1536]


# Rates and decays, parameter by parameter.


def groups(config, model):
    """Name -> (part of the rate, weight decay) as the recipe's constructor gives them."""
    from mmengine.optim import DefaultOptimWrapperConstructor

    from vitmm.engine.optim import LayerDecayConstructor

    wrapper = config.optim_wrapper.to_dict()
    ours = wrapper.pop('constructor', None) == 'vitmm.LayerDecayConstructor'
    kind = LayerDecayConstructor if ours else DefaultOptimWrapperConstructor
    settings = wrapper.pop('paramwise_cfg', None)
    lr = wrapper['optimizer']['lr']
    wrapper['optimizer']['fused'] = False  # it refuses tensors without memory
    built = kind(wrapper, settings)(model)
    found = {
        id(p): (group['lr'] / lr, group['weight_decay'])
        for group in built.param_groups
        for p in group['params']
    }
    return {name: found[id(p)] for name, p in model.named_parameters() if id(p) in found}


def as_openmmlab(name):
    """Our name of a parameter -> that of mmseg's MAE and BEiT, or mmpretrain's ConvNeXt."""
    name = name.replace('backbone.model.', 'backbone.')
    name = re.sub(r'backbone\.blocks\.', 'backbone.layers.', name)
    name = re.sub(r'backbone\.stem\.', 'backbone.downsample_layers.0.', name)
    name = re.sub(r'backbone\.stages\.(\d)\.downsample\.', r'backbone.downsample_layers.\1.', name)
    return re.sub(r'backbone\.stages\.(\d)\.blocks\.', r'backbone.stages.\1.', name)


def plain_decay(name, parameter, decay):
    """mmdet's and mmseg's rule, with their papers' exemption of embeddings."""
    spared = parameter.ndim == 1 or re.search(r'\.bias$|pos_embed$|cls_token$', name)
    return 0.0 if spared else decay


def check(found, model, expected):
    assert found.keys() == {n for n, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        assert found[name] == pytest.approx(expected(name, parameter)), name


@pytest.mark.parametrize(
    ('name', 'rate', 'kind', 'layers'),
    [
        ('mask-rcnn_convnext-tiny_fpn_8xb2-ms-crop-3x_coco', 0.95, 'layer_wise', 6),
        ('mask-rcnn_convnext-base_fpn_8xb2-ms-crop-3x_coco', 0.95, 'layer_wise', 12),
        (
            'cascade-mask-rcnn_convnext-base_fpn_8xb2-4conv1fc-giou-ms-crop-3x_coco',
            0.8,
            'layer_wise',
            12,
        ),
        ('upernet_convnext-tiny_8xb2-160k_ade20k-512x512', 0.9, 'stage_wise', 6),
        ('upernet_convnext-small_8xb2-160k_ade20k-512x512', 0.9, 'stage_wise', 12),
        ('upernet_convnext-base_8xb2-160k_ade20k-512x512', 0.9, 'stage_wise', 12),
        ('upernet_vit-base-p16-mae_8xb2-160k_ade20k-512x512', 0.65, 'layer_wise_vit', 12),
        ('upernet_beit-base-p16_8xb2-160k_ade20k-640x640', 0.9, 'layer_wise_vit', 12),
        ('upernet_beit-large-p16_8xb1-320k_ade20k-640x640', 0.95, 'layer_wise_vit', 24),
    ],
)
def test_rates_are_those_of_openmmlab(name, rate, kind, layers, resolved, built):
    from mmseg.engine.optimizers import layer_decay_optimizer_constructor as mmseg_s

    def expected(ours, parameter):
        theirs, top = as_openmmlab(ours), layers + 2
        if kind == 'layer_wise':
            depth = mmseg_s.get_layer_id_for_convnext(theirs, layers)
        elif kind == 'stage_wise':
            depth = mmseg_s.get_stage_id_for_convnext(theirs, top)
        else:
            depth = mmseg_s.get_layer_id_for_vit(theirs, top)
        scale = rate ** (top - depth - 1)
        return scale, plain_decay(ours, parameter, PAPERS[name].decay)

    check(groups(resolved(name), built(name)), built(name), expected)


@pytest.mark.parametrize(
    ('name', 'rate', 'layers'),
    [
        ('mask-rcnn_vit-base-p16-mae_sfpn_8xb8-lsj-100e_coco', 0.7, 12),
        ('mask-rcnn_vit-large-p16-mae_sfpn_8xb8-lsj-100e_coco', 0.8, 24),
    ],
)
def test_rates_are_those_of_vitdet(name, rate, layers, resolved, built):
    """detectron2: get_vit_lr_decay_rate, and get_default_optimizer_params by kinds of modules."""
    model = built(name)
    norms = {
        f'{prefix}.{own}'
        for prefix, module in model.named_modules()
        if 'Norm' in type(module).__name__
        for own, _ in module.named_parameters(recurse=False)
    }
    assert len(norms) > 2 * 2 * layers

    def expected(ours, parameter):
        block = re.search(r'backbone\.model\.blocks\.(\d+)\.', ours)
        depth = int(block[1]) + 1 if block else layers + 1
        if re.search('pos_embed|patch_embed|cls_token', ours):
            depth = 0
        spared = ours in norms or re.search('pos_embed|cls_token', ours)
        return rate ** (layers + 1 - depth), 0.0 if spared else PAPERS[name].decay

    check(groups(resolved(name), model), model, expected)


@pytest.mark.parametrize(
    ('name', 'rate', 'layers'),
    [
        ('vit-base-p16-mae_8xb128-100e_in1k', 0.65, 12),
        ('vit-large-p16-mae_8xb128-50e_in1k', 0.75, 24),
    ],
)
def test_rates_are_those_of_mae(name, rate, layers, resolved, built):
    """facebookresearch/mae util/lr_decay.py."""
    model = built(name)

    def expected(ours, parameter):
        block = re.search(r'blocks\.(\d+)\.', ours)
        depth = int(block[1]) + 1 if block else layers + 1
        if re.search('pos_embed|patch_embed|cls_token', ours):
            depth = 0
        spared = parameter.ndim == 1 or re.search('pos_embed|cls_token', ours)
        return rate ** (layers + 1 - depth), 0.0 if spared else 0.05

    check(groups(resolved(name), model), model, expected)
    assert {n for n, _ in model.backbone.named_parameters() if 'fc_norm' in n}
    assert not {n for n, _ in model.backbone.named_parameters() if 'model.norm' in n}


@pytest.mark.parametrize(
    ('name', 'spared', 'backbone'),
    [
        ('mask-rcnn_swin-tiny-p4-w7_fpn_8xb2-ms-crop-3x_coco', 'norm|_bias_table', 1.0),
        ('upernet_swin-base-p4-w7_8xb2-160k_ade20k-512x512', 'norm|_bias_table', 1.0),
        ('upernet_vit-base-p16_8xb2-160k_ade20k-512x512', 'norm|pos_embed|cls_token', 1.0),
        ('dino-5scale_swin-large-p4-w12_8xb2-36e_coco', '^$', 0.1),
    ],
)
def test_rates_without_layers(name, spared, backbone, resolved, built):
    def expected(ours, parameter):
        inside = ours.startswith('backbone.')
        decay = 0.0 if re.search(spared, ours) else PAPERS[name].decay
        return backbone if inside else 1.0, decay

    check(groups(resolved(name), built(name)), built(name), expected)
