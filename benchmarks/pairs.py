"""The same architecture on two sides: vitmm, and what people would use instead.

A row is called ``model/head/peer``; ``head`` is ``maps`` for the bare backbone. :func:`build` makes
one side of it. Both get the same images, boxes and masks, the same heads and losses, and second
stages the same proposals; what differs in spite of that is a note in ``NOTES``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import proposals
import torch
from torch import nn

BASES = Path(__file__).resolve().parent.parent / 'configs' / '_base_' / 'models'
MODELS = {
    'vit_small': 'vit_small_patch16_224',
    'swin_tiny': 'swin_tiny_patch4_window7_224',
    'convnext_tiny': 'convnext_tiny',
    'resnet50': 'resnet50',
}
NORMED = ('swin_tiny', 'convnext_tiny')  # OpenMMLab's own put a norm on every map
DROP_PATH = 0.1
PEERS = {
    'mmdet.SwinTransformer': dict(drop_path_rate=DROP_PATH),
    'mmseg.SwinTransformer': dict(drop_path_rate=DROP_PATH),
    'mmpretrain.SwinTransformer': dict(arch='tiny', pad_small_map=True, drop_path_rate=DROP_PATH),
    'mmpretrain.ConvNeXt': dict(arch='tiny', gap_before_final_norm=False, drop_path_rate=DROP_PATH),
    'mmpretrain.VisionTransformer': dict(arch='deit-small', out_type='featmap', final_norm=False),
    'mmdet.ResNet': dict(depth=50, norm_eval=False),
    'mmseg.ResNet': dict(depth=50, norm_eval=False),
}
TIMM_KWARGS = {  # how mmpretrain's wrapper is made to take other sizes than 224
    'vit_small': dict(dynamic_img_size=True),
    'swin_tiny': dict(strict_img_size=False, drop_path_rate=DROP_PATH),
    'convnext_tiny': dict(drop_path_rate=DROP_PATH),
    'resnet50': {},
}
LEVELS = {'retinanet': (1, 2, 3), 'vit': (2, 5, 8, 11)}  # else all four
ROWS = (
    *(f'{model}/maps/mmpretrain.TIMMBackbone' for model in MODELS),
    'vit_small/maps/mmpretrain.VisionTransformer',
    'swin_tiny/maps/mmpretrain.SwinTransformer',
    'convnext_tiny/maps/mmpretrain.ConvNeXt',
    *(
        f'{pair[0]}/{head}/{pair[1]}'
        for head in ('retinanet', 'faster_rcnn', 'mask_rcnn')
        for pair in (
            ('swin_tiny', 'mmdet.SwinTransformer'),
            ('resnet50', 'mmdet.ResNet'),
            ('convnext_tiny', 'mmpretrain.ConvNeXt'),
        )
    ),
    'swin_tiny/upernet/mmseg.SwinTransformer',
    'resnet50/upernet/mmseg.ResNet',
    'convnext_tiny/upernet/mmpretrain.ConvNeXt',
    *(f'resnet50/{head}/torchvision' for head in ('retinanet', 'faster_rcnn', 'mask_rcnn')),
)
NOTES = {
    'swin_tiny/maps/mmpretrain.TIMMBackbone': 'the peer gives NHWC maps',
    'resnet50/faster_rcnn/torchvision': 'the peer has a box for the background too',
    'resnet50/mask_rcnn/torchvision': 'the peer has a box and a mask for the background too',
}
# The base config of this head is Faster R-CNN's and this, mmdet's own mask head.
MASK_HEAD = dict(
    type='mmdet.MaskRCNN',
    roi_head=dict(
        mask_roi_extractor=dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=256,
            featmap_strides=[4, 8, 16, 32],
        ),
        mask_head=dict(
            type='mmdet.FCNMaskHead',
            num_convs=4,
            in_channels=256,
            conv_out_channels=256,
            num_classes='${data.num_classes}',
            loss_mask=dict(type='mmdet.CrossEntropyLoss', use_mask=True, loss_weight=1.0),
        ),
    ),
    train_cfg=dict(rcnn=dict(mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)),
)


@dataclass(frozen=True)
class Setting:
    """What both sides of a row share."""

    size: int = 320  # of the square images, in pixels
    batch: int = 2
    rois: int = 64  # sampled of each image to train the second stage on
    classes: int = 20
    objects: int = 8  # in each image
    device: str = 'cpu'
    precision: str = 'fp32'
    threads: int = 1


@dataclass(frozen=True)
class Side:
    """One model with its batch: ``maps()`` are those the head gets, ``loss()`` is a scalar."""

    model: nn.Module
    maps: Callable[[], Sequence[torch.Tensor]]
    loss: Callable[[], torch.Tensor]

    @property
    def parameters(self) -> int:
        """How many of them learn."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)


def build(row: str, ours: bool, setting: Setting) -> Side:
    """Build our side of a row, or the peer's, in training mode."""
    model, head, peer = row.split('/')
    torch.manual_seed(0)
    if head == 'maps':
        return _bare(model, ours, peer, setting)
    if peer == 'torchvision' and not ours:
        return _torchvision(head, setting)
    return _openmmlab(model, head, ours, peer, setting)


def _our_backbone(model: str, peer: str) -> dict:
    settings: dict[str, Any] = dict(type='vitmm.TimmBackbone', model_name=MODELS[model])
    if model in NORMED:
        settings |= dict(drop_path_rate=DROP_PATH)
        if not peer.endswith('TIMMBackbone'):
            settings |= dict(out_norm='layer')
    if model.startswith('vit'):
        settings |= dict(out_indices=LEVELS['vit'])
    return settings


def _peer_backbone(model: str, head: str, peer: str) -> dict:
    if peer == 'mmpretrain.TIMMBackbone':
        settings = dict(model_name=MODELS[model], features_only=True, **TIMM_KWARGS[model])
        if model == 'resnet50':
            settings |= dict(out_indices=(1, 2, 3, 4))  # from stride 4 on
        elif model.startswith('vit'):
            settings |= dict(out_indices=LEVELS['vit'])
        return dict(type=peer, **settings)
    levels = LEVELS['vit'] if model.startswith('vit') else LEVELS.get(head, (0, 1, 2, 3))
    return dict(type=peer, out_indices=levels, **PEERS[peer])


def _bare(model: str, ours: bool, peer: str, setting: Setting) -> Side:
    from mmengine.registry import MODELS as REGISTRY

    settings = _our_backbone(model, peer) if ours else _peer_backbone(model, 'maps', peer)
    backbone = REGISTRY.build(settings).to(setting.device)
    backbone.train()  # some return None
    images = torch.randn(setting.batch, 3, setting.size, setting.size, device=setting.device)

    def loss() -> torch.Tensor:
        return sum(m.float().mean() for m in backbone(images))

    return Side(backbone, lambda: backbone(images), loss)


def _openmmlab(model: str, head: str, ours: bool, peer: str, setting: Setting) -> Side:
    from mmengine.config import Config
    from mmengine.registry import MODELS as REGISTRY
    from mmengine.registry import init_default_scope

    from vitmm.config import resolve
    from vitmm.models.halts import avoid_halts

    scope = 'mmseg' if head == 'upernet' else 'mmdet'
    init_default_scope(scope)
    base = 'faster_rcnn' if head == 'mask_rcnn' else head
    config = Config.fromfile(BASES / f'{base}.py')
    if head == 'mask_rcnn':
        config.merge_from_dict(dict(model=MASK_HEAD))
    names = [f'class {i}' for i in range(setting.classes)]
    config.merge_from_dict(
        dict(
            model=dict(backbone=_our_backbone(model, peer)),
            crop_size=(setting.size, setting.size),
            train_dataloader=dict(
                dataset=dict(type='mmdet.CocoDataset', metainfo=dict(classes=names))
            ),
        )
    )
    settings = resolve(config).model
    if 'rcnn' in settings.get('train_cfg', {}):
        settings.train_cfg.rcnn.sampler.num = setting.rois
    if not ours:
        settings.backbone = _peer_backbone(model, head, peer)
        settings.data_preprocessor.type = settings.data_preprocessor.type.replace('vitmm', 'mmdet')
        settings.neck = settings.neck[1] if scope == 'mmdet' else None  # without FeaturePyramid
    network = REGISTRY.build(settings)
    network.init_weights()
    network = network.to(setting.device).train()
    if ours:
        avoid_halts(network)  # as every run of ours does, by a hook
    if 'rcnn' in head:
        proposals.replace(network, _proposals(setting))
    batch = _segmentation(setting) if head == 'upernet' else _detection(setting)

    def prepared() -> dict:
        return network.data_preprocessor(dict(batch), True)

    def loss() -> torch.Tensor:
        return network.parse_losses(network(**prepared(), mode='loss'))[0]

    return Side(network, lambda: network.extract_feat(prepared()['inputs']), loss)


def _torchvision(head: str, setting: Setting) -> Side:
    from torchvision.models import detection
    from torchvision.ops import MultiScaleRoIAlign

    # As in our base configs; the rest are defaults on both sides.
    settings: dict[str, Any] = dict(min_size=setting.size, max_size=setting.size)
    if head != 'retinanet':
        settings |= dict(
            rpn_post_nms_top_n_train=1000,
            box_batch_size_per_image=setting.rois,
            box_roi_pool=MultiScaleRoIAlign(['0', '1', '2', '3'], 7, sampling_ratio=0),
        )
    if head == 'mask_rcnn':
        settings |= dict(mask_roi_pool=MultiScaleRoIAlign(['0', '1', '2', '3'], 14, 0))
    classes = setting.classes + (head != 'retinanet')  # the background is one there
    make = {
        'retinanet': detection.retinanet_resnet50_fpn,
        'faster_rcnn': detection.fasterrcnn_resnet50_fpn,
        'mask_rcnn': detection.maskrcnn_resnet50_fpn,
    }[head]
    network = make(weights=None, weights_backbone=None, num_classes=classes, **settings)
    network = network.to(setting.device).train()
    if 'rcnn' in head:
        proposals.replace(network, _proposals(setting))
    images, boxes, labels, masks = _scene(setting)
    pictures = [image.float() / 255 for image in images]
    targets = [
        dict(boxes=b, labels=c + (head != 'retinanet'), masks=m)
        for b, c, m in zip(boxes, labels, masks, strict=True)
    ]

    def maps() -> list[torch.Tensor]:
        return [*network.backbone(network.transform(pictures)[0].tensors).values()]

    return Side(network, maps, lambda: sum(network(pictures, targets).values()))


def _scene(setting: Setting) -> tuple[list[torch.Tensor], ...]:
    """Random images (3, H, W), boxes (N, 4) in x1 y1 x2 y2, labels (N,) and masks (N, H, W)."""
    random = torch.Generator().manual_seed(1)
    images, boxes, labels, masks = [], [], [], []
    for _ in range(setting.batch):
        shape = (3, setting.size, setting.size)
        images.append(torch.randint(0, 256, shape, dtype=torch.uint8, generator=random))
        corner = torch.rand(setting.objects, 2, generator=random) * 0.6
        extent = 0.1 + torch.rand(setting.objects, 2, generator=random) * 0.3
        boxes.append(torch.cat([corner, corner + extent], 1) * setting.size)
        labels.append(torch.randint(0, setting.classes, (setting.objects,), generator=random))
        mask = torch.zeros(setting.objects, setting.size, setting.size, dtype=torch.uint8)
        for layer, (x1, y1, x2, y2) in zip(mask, boxes[-1].long().tolist(), strict=True):
            layer[y1:y2, x1:x2] = 1
        masks.append(mask)
    return tuple([t.to(setting.device) for t in kind] for kind in (images, boxes, labels, masks))


def _proposals(setting: Setting) -> list[torch.Tensor]:
    """Of each image (N, 4) in x1 y1 x2 y2, more of them near objects than a sampler wants."""
    _, boxes, *_ = _scene(setting)
    return [proposals.around(b, setting.size, setting.rois) for b in boxes]


def _detection(setting: Setting) -> dict:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    side = setting.size
    images, *truth = _scene(setting)
    samples = []
    for boxes, labels, masks in zip(*truth, strict=True):
        sample = DetDataSample(
            metainfo=dict(img_shape=(side, side), ori_shape=(side, side), scale_factor=(1.0, 1.0))
        )
        bitmaps = BitmapMasks(masks.cpu().numpy(), side, side)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels, masks=bitmaps)
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def _segmentation(setting: Setting) -> dict:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    images, *_ = _scene(setting)
    shape = (setting.size, setting.size)
    random = torch.Generator().manual_seed(2)
    samples = []
    for _ in images:
        sample = SegDataSample(metainfo=dict(img_shape=shape, ori_shape=shape))
        truth = torch.randint(0, setting.classes, (1, *shape), generator=random)
        sample.gt_sem_seg = PixelData(data=truth.to(setting.device))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)
