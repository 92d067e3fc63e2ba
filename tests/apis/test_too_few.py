"""A head without a place for each class of the data: refused before anything trains."""

import pytest
from mmengine.config import Config
from support import CONFIGS

from vitmm.apis.launch import prepare
from vitmm.apis.too_few import refuse_too_few
from vitmm.apis.train import train
from vitmm.datasets import write_rooms
from vitmm.errors import ConfigError

SHORT = {
    'det/vit_retinanet': ('model.bbox_head.num_classes', 5, r'model\.bbox_head has 5'),
    'det/pvt_cascade_rcnn': (
        'model.roi_head.bbox_head.1.num_classes', 5, r'model\.roi_head\.bbox_head\.1 has 5'),
    'det/resnet_mask2former': (
        'model.panoptic_head.num_things_classes', 5, r'model\.panoptic_head has 5'),
    'seg/vit_upernet': ('model.auxiliary_head.num_classes', 6, r'model\.auxiliary_head has 6'),
    'cls/vit_linear': ('model.head.num_classes', 5, r'model\.head has 5'),
}  # fmt: skip


@pytest.mark.parametrize('recipe', SHORT)
def test_one_class_short(recipe, tiny_options, tmp_path):
    key, number, said = SHORT[recipe]
    with pytest.raises(ConfigError, match=f'training data has {number + 1} classes, and {said}: '):
        train(
            CONFIGS / f'{recipe}.py',
            work_dir=tmp_path / 'w',
            options={**tiny_options, 'model.backbone.model_name': 'test_resnet', key: number},
        )
    assert not (tmp_path / 'w').exists()


COCO = dict(type='mmdet.CocoDataset', metainfo=dict(classes=('a', 'b', 'c')))
SEG = dict(type='mmseg.BaseSegDataset', metainfo=dict(classes=('a', 'b')))
LEGITIMATE = {
    'more places than classes': (COCO, dict(bbox_head=dict(num_classes=80))),
    'is there an object': (COCO, dict(rpn_head=dict(num_classes=1))),
    'one mask for all': (
        COCO, dict(roi_head=dict(mask_head=dict(num_classes=1, class_agnostic=True)))),
    'words': (COCO, dict(bbox_head=dict(num_classes=2, contrastive_cfg={}))),
    'words of a language model': (COCO, dict(language_model={}, bbox_head=dict(num_classes=2))),
    'one channel for two classes': (SEG, dict(decode_head=dict(num_classes=1, out_channels=1))),
    'edges': (
        dict(type='mmseg.CityscapesDataset'),
        dict(auxiliary_head=[dict(num_classes=2, boundary_threshold=0.1)])),
    'things of a panoptic set': (
        dict(type='mmdet.CocoPanopticDataset'),
        dict(roi_head=dict(bbox_head=dict(num_classes=80)), semantic_head=dict(num_classes=1))),
    'the class that masks leave out': (
        {**SEG, 'reduce_zero_label': True}, dict(decode_head=dict(num_classes=1))),
    'scenes of depth': (
        dict(type='mmseg.NYUDataset'), dict(decode_head=dict(num_classes=1, out_channels=1))),
    'no classes at all': (
        dict(type='mmpretrain.CustomDataset'), dict(head=dict(type='MAEPretrainHead'))),
    'a stock backbone': (
        dict(type='mmpretrain.ImageNet'), dict(backbone=dict(type='VGG', num_classes=10))),
}  # fmt: skip


@pytest.mark.parametrize('name', LEGITIMATE)
def test_what_is_meant_passes(name):
    dataset, model = LEGITIMATE[name]
    for one in (dataset, dict(type='RepeatDataset', times=2, dataset=dataset)):
        refuse_too_few(Config(dict(model=model, train_dataloader=dict(dataset=one))))


def test_one_class_alone_is_no_segmentation():
    one = dict(type='mmseg.BaseSegDataset', metainfo=dict(classes=('a',)))
    head = dict(num_classes=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False))
    cfg = dict(train_dataloader=dict(dataset=one), model=dict(decode_head=head))
    with pytest.raises(ConfigError, match=r'one class, .* background, 0 in the masks'):
        refuse_too_few(Config(cfg))
    dice = dict(type='mmseg.DiceLoss')  # of a sigmoid, by default
    for others in (dict(head['loss_decode'], use_sigmoid=True), dice, [head['loss_decode'], dice]):
        refuse_too_few(Config({**cfg, 'model': dict(decode_head={**head, 'loss_decode': others})}))


def test_every_part_of_joined_sets_counts():
    joined = dict(type='ConcatDataset', datasets=[COCO, COCO])
    cfg = dict(model=dict(bbox_head=dict(num_classes=2)), train_dataloader=dict(dataset=joined))
    with pytest.raises(ConfigError, match='has 3 classes'):
        refuse_too_few(Config(cfg))


@pytest.mark.parametrize('recipe', ['det/convnext_dino', 'mim/vit_mae', 'depth/vit_depth'])
def test_starters_of_other_kinds_pass(recipe, tiny_options, tmp_path):
    options = {k: v for k, v in tiny_options.items() if k in ('data_root', 'prepare_data')}
    if recipe.startswith('depth'):
        rooms = write_rooms(tmp_path / 'rooms', 2, 1)
        options = {'data_root': str(rooms), 'prepare_data': None}
    refuse_too_few(prepare(CONFIGS / f'{recipe}.py', options=options, work_dir=tmp_path))
