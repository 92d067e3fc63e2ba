"""Boxes around masks: mmdet's own, object by object."""

import pytest
import torch
from mmdet.structures.mask import mask2bbox

from vitmm.models.halts.mask_boxes import boxes_around
from vitmm.models.halts.reads import CountReads


@pytest.mark.parametrize('count', [0, 1, 40])
def test_they_are_mmdets(count):
    torch.manual_seed(0)
    masks = (
        torch.rand(count, 9, 13) > torch.linspace(0.5, 1, count)[:, None, None]
    )  # the last: none
    with CountReads() as counting:
        found = boxes_around(masks)
    assert not counting.count
    expected = mask2bbox(masks)
    assert torch.equal(found, expected) and found.dtype == expected.dtype
    if count:
        assert expected.any() and (count == 1 or not expected[-1].any())


def test_mask2formers_are_these():
    from mmdet.models.seg_heads.panoptic_fusion_heads import MaskFormerFusionHead
    from mmengine.config import ConfigDict

    from vitmm.models.halts import avoid_halts

    head = MaskFormerFusionHead(
        num_things_classes=2, num_stuff_classes=0, test_cfg=ConfigDict(max_per_image=5)
    )
    avoid_halts(head)
    torch.manual_seed(0)
    found = head.instance_postprocess(torch.randn(5, 3), torch.randn(5, 6, 7) - 2)
    assert torch.equal(found.bboxes, mask2bbox(found.masks)) and found.bboxes.any()
    assert head.instance_postprocess.__globals__['mask2bbox'] is boxes_around
