"""Losses in float32 under autocast."""

import copy

import pytest
import torch
from mmengine.runner import autocast
from torch import nn

from vitmm.models.halts import avoid_halts
from vitmm.models.precision import use_full_precision_in_losses


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)
        self.types = []

    def forward(self, x):
        return self.loss_by_feat([self.layer(x)], scale=torch.ones(1, dtype=torch.bfloat16))

    def loss_by_feat(self, scores, scale):
        self.types += [scores[0].dtype, scale.dtype, (scores[0] @ scores[0].mT).dtype]
        return scores[0].exp().sum()


@pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=pytest.mark.cuda)])
def test_what_goes_into_a_loss_is_widened_and_stays_wide(device):
    head, x = Head().to(device), torch.randn(3, 8, device=device)
    with autocast(device_type=device, dtype=torch.bfloat16):
        head(x)
        assert head.types[0] == head.types[2] == torch.bfloat16  # or there is nothing to mend
    use_full_precision_in_losses(head)
    head.types.clear()
    with autocast(device_type=device, dtype=torch.bfloat16):
        loss = head(x)
    assert head.types == [torch.float32] * 3
    loss.backward()
    assert head.layer.weight.grad.dtype == torch.float32


def test_what_is_not_a_tensor_stays():
    """mmseg's windows that slide over an image tell their size so (torch.Size, not a tuple)."""
    head = Head()
    given = [{'img_shape': torch.Size([2, 3]), 'pad_shape': (4, 5), 'flip': None}]
    told = []
    head.predict_by_feat = lambda scores, metas: told.append(metas)
    use_full_precision_in_losses(head)
    head.predict_by_feat(torch.ones(1), given)
    assert told == [given]
    assert type(told[0][0]['img_shape']) is torch.Size


@pytest.mark.parametrize('halts', [False, True])
def test_regions_are_not_rounded(halts):
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    extractor = SingleRoIExtractor(
        roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
        out_channels=2,
        featmap_strides=[4, 8],
    )
    maps = [torch.rand(1, 2, 1024 // stride, 1024 // stride) for stride in (4, 8)]
    maps = [one.bfloat16() for one in maps]
    rois = torch.tensor([[0, 901.7, 903.3, 911.7, 913.3], [0, 101.1, 503.3, 391.7, 613.3]])
    expected = extractor([one.float() for one in maps], rois)
    if halts:
        avoid_halts(extractor)
    use_full_precision_in_losses(extractor)
    with autocast(device_type='cpu', dtype=torch.bfloat16):
        found = extractor(maps, rois)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('kind', ['DETRHead', 'ConditionalDETRHead', 'DeformableDETRHead'])
def test_boxes_of_queries_are_not_rounded(kind):
    """These heads add to a place in the image and take its sigmoid before they hand it over."""
    from mmdet.models import dense_heads

    torch.manual_seed(0)
    more = (
        {} if kind == 'DETRHead' else {'loss_cls': dict(type='mmdet.FocalLoss', use_sigmoid=True)}
    )
    more |= {'num_pred_layer': 1} if kind == 'DeformableDETRHead' else {}
    head = getattr(dense_heads, kind)(num_classes=2, embed_dims=16, **more)
    queries = torch.randn(1, 1, 500, 16).bfloat16()  # as a decoder gives them
    places = {
        'DETRHead': [],
        'ConditionalDETRHead': [torch.rand(1, 500, 2)],
        'DeformableDETRHead': [[torch.rand(1, 500, 4)]],
    }[kind]
    expected = head(queries.float(), *places)[1]
    with autocast(device_type='cpu', dtype=torch.bfloat16):
        assert (head(queries, *places)[1].float() - expected).abs().max() > 1e-3  # a pixel of 1000
        use_full_precision_in_losses(head)
        found = copy.deepcopy(head)(queries, *places)[1]
    assert found.dtype == torch.float32
    # Only the queries' own layers before the last ones are of 16 bits.
    assert (found - expected).abs().max() < 5e-4


def test_a_copy_calls_its_own():
    head = Head()
    use_full_precision_in_losses(head)
    twin = copy.deepcopy(head)
    twin(torch.randn(3, 8))
    assert twin.types and not head.types


@pytest.mark.parametrize('kind', ['mask2former', 'maskformer'])
def test_what_follows_mmsegs_forward_pass_is_not_rounded(kind):
    """One method of these heads is both; every pixel is a sum over all queries."""
    from mmengine.registry import init_default_scope
    from mmseg.models.decode_heads import Mask2FormerHead, MaskFormerHead

    init_default_scope('mmseg')
    base = {'mask2former': Mask2FormerHead, 'maskformer': MaskFormerHead}[kind]

    class Small(base):
        def __init__(self):
            nn.Module.__init__(self)
            self.classes, self.masks = nn.Linear(4, 6), nn.Linear(4, 64)

        def forward(self, x, batch_data_samples):
            query = x[0].flatten(2).mT
            found = self.classes(query), self.masks(query).unflatten(-1, (8, 8))
            assert found[0].dtype == found[1].dtype == torch.get_autocast_dtype('cpu')
            return [found[0] * 100, found[0]], [found[1] * 100, found[1]]

    torch.manual_seed(0)
    head, maps = Small(), [torch.randn(2, 4, 5, 5)]
    metas = [dict(img_shape=(16, 16), pad_shape=(16, 16))] * 2
    with autocast(device_type='cpu', dtype=torch.bfloat16), torch.no_grad():
        scores, masks = (layers[-1].float() for layers in head(maps, None))
        assert head.predict(maps, metas, None).dtype == torch.bfloat16
        use_full_precision_in_losses(head)
        use_full_precision_in_losses(head)  # twice is once
        found = copy.deepcopy(head).predict(maps, metas, None)
        assert torch.is_autocast_enabled('cpu')
    masks = nn.functional.interpolate(masks, (16, 16), mode='bilinear').sigmoid()
    expected = torch.einsum('bqc,bqhw->bchw', scores.softmax(-1)[..., :-1], masks)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('name', ['instance_postprocess', 'panoptic_postprocess'])
def test_masks_are_scored_in_single_precision(name):
    from mmdet.models.seg_heads.panoptic_fusion_heads import MaskFormerFusionHead
    from mmengine.config import ConfigDict

    test_cfg = ConfigDict(max_per_image=5, object_mask_thr=0.0, iou_thr=0.0)
    head = MaskFormerFusionHead(num_things_classes=2, num_stuff_classes=1, test_cfg=test_cfg)
    torch.manual_seed(0)
    scores, masks = torch.randn(5, 4).bfloat16(), torch.randn(5, 60, 70).bfloat16()
    expected = getattr(head, name)(scores.float(), masks.float())
    use_full_precision_in_losses(head)
    with autocast(device_type='cpu', dtype=torch.bfloat16):
        found = getattr(head, name)(scores, masks)
    if name == 'instance_postprocess':
        assert found.scores.dtype == torch.float32
        assert torch.equal(found.scores, expected.scores)
    else:
        assert torch.equal(found.sem_seg, expected.sem_seg)


def test_depth_is_not_rounded():
    from mmengine.registry import init_default_scope

    from vitmm.models.heads import DepthHead

    init_default_scope('mmseg')
    torch.manual_seed(0)
    settings = dict(type='mmseg.FCNHead', in_channels=16, channels=16, in_index=0, num_convs=1)
    head = DepthHead(settings).eval()
    maps = (torch.randn(1, 16, 32, 32) * 3,)
    with autocast(device_type='cpu', dtype=torch.bfloat16), torch.no_grad():
        logits = head.head(maps)
        depth = head(maps)
    assert logits.dtype == torch.bfloat16 and depth.dtype == torch.float32
    torch.testing.assert_close(depth, logits.float().sigmoid() * 10, rtol=0, atol=1e-5)
    assert head.double()((maps[0].double(),)).dtype == torch.float64


def test_autocast_of_the_tensors_device_is_off_beside_a_gpu(monkeypatch):
    """MMEngine's own switch is for the GPU wherever there is one."""
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cuda')
    head = Head()
    use_full_precision_in_losses(head)
    with torch.autocast('cpu', torch.bfloat16):
        head(torch.randn(3, 8))
    assert head.types == [torch.float32] * 3
