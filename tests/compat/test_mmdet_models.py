"""mmdet's own models on the stand-in: each takes one training step and one prediction.

The configs are those of the installed mmdet, and together they call every op of mmcv that a
model of mmdet calls. Slow, about five minutes on one core: `pytest -m slow`.
"""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm

CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'

# config -> the ops for which it is here
MODELS_AND_OPS = {
    'carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py': 'carafe, roi_align, nms',
    'dcn/faster-rcnn_r50_fpn_dpool_1x_coco.py': 'deform_roi_pool',
    'dcnv2/faster-rcnn_r50_fpn_mdpool_1x_coco.py': 'deform_roi_pool, modulated',
    'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py': 'deform_conv',
    'dcnv2/faster-rcnn_r50-mdconv-group4-c3-c5_fpn_1x_coco.py': 'modulated_deform_conv, groups',
    'reppoints/reppoints-moment_r50_fpn_1x_coco.py': 'deform_conv',
    'vfnet/vfnet_r50_fpn_1x_coco.py': 'deform_conv',
    'tood/tood_r50_fpn_1x_coco.py': 'deform_conv2d as a function',
    'dyhead/atss_r50_fpn_dyhead_1x_coco.py': 'modulated_deform_conv',
    'guided_anchoring/ga-retinanet_r50_fpn_1x_coco.py': 'deform_conv, masked_conv',
    'cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco.py': 'deform_conv',
    'foveabox/fovea_r50_fpn_gn-head-align_4xb4-2x_coco.py': 'deform_conv',
    'detectors/cascade-rcnn_r50-sac_1x_coco.py': 'deform_conv in SAC',
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': 'ms_deform_attn',
    'ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py': 'ms_deform_attn, nms',
    'centripetalnet/centripetalnet_hourglass104_16xb6-crop511-210e-mstest_coco.py': 'softnms',
    'pisa/faster-rcnn_r50_fpn_pisa_1x_coco.py': 'nms_match (ScoreHLRSampler)',
    'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py': 'SimpleRoIAlign',
    'yolact/yolact_r50_1xb8-55e_coco.py': 'nms',
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py': 'roi_align for masks',
}


def shrink(cfg):
    """Drop pretrained weights, and the repeated parts of the largest backbones."""
    if isinstance(cfg, dict):
        if cfg.get('type') == 'HourglassNet':
            cfg.update(stage_channels=[256, 256, 256, 256, 256, 512], stage_blocks=[1] * 6)
        if isinstance(cfg.get('init_cfg'), dict) and cfg['init_cfg'].get('type') == 'Pretrained':
            cfg['init_cfg'] = None
        for value in cfg.values():
            shrink(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            shrink(value)


def inputs(count, training):
    data = demo_mm_inputs(
        count, [[3, 128, 128], [3, 125, 130]][:count], num_classes=10, with_mask=True
    )
    return data, training


@pytest.mark.slow
@pytest.mark.parametrize('name', MODELS_AND_OPS)
def test_model(name, device):
    register_all_modules()
    cfg = Config.fromfile(CONFIGS / name).model
    shrink(cfg)
    model = revert_sync_batchnorm(MODELS.build(cfg))
    model.init_weights()
    model = model.to(device)
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 0)
    hub.update_info('epoch', 0)

    model.train()
    losses = model(**model.data_preprocessor(*inputs(2, True)), mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert loss.isfinite()
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(*inputs(1, False)), mode='predict')
    for result in results:
        boxes = result.pred_instances.bboxes
        assert boxes.shape[1] == 4 and boxes.isfinite().all()
