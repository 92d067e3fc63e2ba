"""Suppression against loops over the definition, one box at a time."""

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms, bbox_overlaps, nms, nms_match, soft_nms


def iou(a, b, offset=0):
    wide = min(a[2], b[2]) - max(a[0], b[0]) + offset
    tall = min(a[3], b[3]) - max(a[1], b[1]) + offset
    inter = max(wide, 0) * max(tall, 0)
    area = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
    return inter / (area[0] + area[1] - inter)


def boxes_and_scores(count, dtype=torch.float32):
    corner = torch.rand(count, 2, dtype=dtype) * 40
    size = torch.rand(count, 2, dtype=dtype) * 30 + 1
    return torch.cat([corner, corner + size], dim=1), torch.rand(count, dtype=dtype)


def naive_nms(boxes, scores, threshold, offset):
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])
    keep = []
    while left:
        best = left.pop(0)
        keep.append(best)
        left = [i for i in left if iou(boxes[best], boxes[i], offset) <= threshold]
    return keep


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.1, 0.5, 0.8])
def test_nms_keeps_what_the_definition_keeps(device, offset, threshold):
    boxes, scores = boxes_and_scores(60)
    dets, keep = nms(boxes.to(device), scores.to(device), threshold, offset=offset)
    expected = naive_nms(boxes.tolist(), scores.tolist(), threshold, offset)
    assert keep.tolist() == expected
    assert torch.equal(dets.cpu(), torch.cat([boxes, scores[:, None]], dim=1)[expected])


def test_nms_offset_decides():
    # Side by side without the offset; one pixel apart with it, they share a pixel column.
    boxes = torch.tensor([[0.0, 0, 1, 9], [1, 0, 2, 9]])
    scores = torch.tensor([0.9, 0.8])
    assert len(nms(boxes, scores, 0.3, offset=0)[1]) == 2
    assert len(nms(boxes, scores, 0.3, offset=1)[1]) == 1


def test_nms_score_threshold_max_num_and_no_boxes(device):
    boxes, scores = (t.to(device) for t in boxes_and_scores(40))
    keep = nms(boxes, scores, 0.9, score_threshold=0.5, max_num=3)[1]
    assert len(keep) == 3 and (scores[keep] > 0.5).all()
    assert nms(boxes[:0], scores[:0], 0.5)[1].tolist() == []


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_nms_other_types(device, dtype):
    boxes, scores = boxes_and_scores(30)
    boxes, scores = boxes.to(dtype), scores.to(dtype)
    scores = scores + torch.arange(30, dtype=dtype)  # no two are equal in few bits
    keep = nms(boxes.to(device), scores.to(device), 0.5)[1]
    assert keep.tolist() == naive_nms(boxes.tolist(), scores.tolist(), 0.5, 0)


def test_batched_nms_never_mixes_classes(device):
    boxes, scores = (t.to(device) for t in boxes_and_scores(50))
    labels = torch.arange(50, device=device) % 3
    dets, keep = batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.3))
    expected = set()
    for label in range(3):
        own = [i for i in range(50) if labels[i] == label]
        kept = naive_nms(boxes[own].tolist(), scores[own].tolist(), 0.3, 0)
        expected |= {own[i] for i in kept}
    assert set(keep.tolist()) == expected
    assert dets[:, 4].tolist() == sorted(dets[:, 4].tolist(), reverse=True)


def naive_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    """Swaps and all, as the definition in mmcv goes: ties depend on them."""
    rows = [[*box, score, i] for i, (box, score) in enumerate(zip(boxes, scores, strict=True))]
    i = 0
    while i < len(rows):
        best = i
        for j in range(i + 1, len(rows)):
            if rows[best][4] < rows[j][4]:
                best = j
        rows[i], rows[best] = rows[best], rows[i]
        j = i + 1
        while j < len(rows):
            overlap = iou(rows[i], rows[j], offset)
            if method == 'gaussian':
                rows[j][4] *= float(np.exp(-(overlap**2) / sigma))
            elif overlap >= threshold:
                rows[j][4] *= 1 - overlap if method == 'linear' else 0
            if rows[j][4] < min_score:
                rows[j] = rows[-1]
                rows.pop()
            else:
                j += 1
        i += 1
    return [row[:5] for row in rows], [row[5] for row in rows]


@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('min_score', [1e-3, 0.3])
@pytest.mark.parametrize('equal_scores', [False, True])
def test_soft_nms(device, method, offset, min_score, equal_scores):
    boxes, scores = boxes_and_scores(40, torch.float64)
    if equal_scores:
        scores = (scores * 3).round() / 3
    dets, keep = soft_nms(boxes.to(device), scores.to(device), 0.3, 0.5, min_score, method, offset)
    expected, order = naive_soft_nms(
        boxes.tolist(), scores.tolist(), 0.3, 0.5, min_score, method, offset
    )
    assert keep.tolist() == order
    torch.testing.assert_close(dets.cpu(), torch.tensor(expected, dtype=torch.float64))


def test_soft_nms_numpy_and_half():
    boxes, scores = boxes_and_scores(20)
    dets, keep = soft_nms(boxes.numpy(), scores.numpy(), 0.3)
    assert dets.shape == (len(keep), 5) and dets.dtype == np.float32
    halved, keep = soft_nms(boxes.half(), scores.half(), 0.3)
    assert halved.dtype == torch.float16 and len(halved) == len(keep)


def test_soft_nms_leaves_its_inputs_alone():
    boxes, scores = boxes_and_scores(20)
    before = boxes.clone(), scores.clone()
    soft_nms(boxes, scores, 0.3)
    assert torch.equal(boxes, before[0]) and torch.equal(scores, before[1])


def test_nms_match(device):
    boxes, scores = boxes_and_scores(40)
    groups = nms_match(torch.cat([boxes, scores[:, None]], dim=1).to(device), 0.3)
    left = sorted(range(40), key=lambda i: -scores[i])
    expected = []
    while left:
        best = left.pop(0)
        group = [i for i in left if iou(boxes[best].tolist(), boxes[i].tolist()) >= 0.3]
        left = [i for i in left if i not in group]
        expected.append([best, *group])
    assert [group.tolist() for group in groups] == expected


@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('offset', [0, 1])
def test_bbox_overlaps(device, mode, offset):
    """mmcv computes it in PyTorch on the CPU and by the extension on the GPU."""
    from mmcv.utils import ext_loader

    first, second = boxes_and_scores(7)[0], boxes_and_scores(5)[0]
    out = torch.empty(7, 5, device=device)
    extension = ext_loader.load_ext('_ext', ['bbox_overlaps'])
    flag = dict(iou=0, iof=1)[mode]
    extension.bbox_overlaps(
        first.to(device), second.to(device), out, mode=flag, aligned=False, offset=offset
    )
    torch.testing.assert_close(out.cpu(), bbox_overlaps(first, second, mode, False, offset))
    row = torch.empty(5, device=device)
    extension.bbox_overlaps(
        first[:5].to(device), second.to(device), row, mode=flag, aligned=True, offset=offset
    )
    torch.testing.assert_close(row.cpu(), out.diagonal().cpu())
