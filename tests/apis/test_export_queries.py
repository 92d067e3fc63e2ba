"""Exports of detectors and segmenters with queries, against mmdet's and mmseg's own predictions."""

import re
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exports import needs_onnx, same_boxes
from mmcv.ops import MultiScaleDeformableAttention
from predictions import change
from torch.nn import functional as F

from vitmm.apis.export import export
from vitmm.apis.inference import Predictor
from vitmm.errors import ConfigError
from vitmm.export.attention import DeformableAttention
from vitmm.export.files import load, save
from vitmm.export.graph import Graph
from vitmm.export.levels import Levels

DETR = dict(num_layers=1, ffn_channels=32, num_queries=24, max_per_img=20, image_scale=(160, 160))
MASKS = dict(pixel_layers=1, query_layers=2, num_queries=12, image_scale=(160, 160))
PADDING = 'model.data_preprocessor.pad_size_divisor'
PADDED = {PADDING: 64}
ONE_STAGE = {'model.with_box_refine': False, 'model.as_two_stage': False}
INSTANCES = {'model.test_cfg.max_per_image': 20}
MODELS = {
    'Deformable DETR': ('det/resnet_deformable_detr.py', {**DETR, **PADDED}),
    'in one stage': ('det/resnet_deformable_detr.py', {**DETR, **ONE_STAGE}),
    'DINO': ('det/convnext_dino.py', {**DETR, **PADDED}),
    'instances': ('det/resnet_mask2former.py', {**MASKS, **INSTANCES}),
    'segments': ('seg/convnext_mask2former.py', MASKS),
}


@pytest.fixture(scope='module')
def stored(untrained):
    """A function: an untrained model, as a checkpoint; masks and classes of pixels are no ties."""

    @cache
    def make(name):
        recipe, options = MODELS[name]
        path = untrained(recipe, 'test_resnet', **options)

        def spread(content):
            for key, value in content['state_dict'].items():
                if re.search(r'(cls_embed|mask_embed\.4)\.weight$', key):
                    value *= 20

        return change(path, path, spread)

    return make


def compare(found, sample):
    """Results of an export against those of PyTorch for one image."""
    if 'pred_sem_seg' in sample:
        assert (found['labels'][0] == sample.pred_sem_seg.data[0].numpy()).mean() > 0.9999
        assert len(np.unique(found['labels'])) > 1
        return
    ours, slack = sample.pred_instances, 0.0
    if 'masks' in ours:
        ours = ours[ours.masks.flatten(1).any(1)]
        ours = ours[ours.scores.argsort(descending=True)]
        masks = ours.masks.flatten(1).numpy()
        other = found['masks'][0, : len(ours)].reshape(masks.shape) != masks
        assert other.mean() < 1e-4
        assert not found['masks'][0, len(ours) :].any()
        # A score is the mean over its pixels of a sigmoid, which is 0.5 at the edge.
        slack = 0.5 * other.sum(axis=1) / masks.sum(axis=1)
    same_boxes(found, ours, slack)


@pytest.mark.parametrize('name', MODELS)
def test_graphs_give_what_pytorch_predicts(name, stored, picture):
    predictor = Predictor(stored(name))
    graph = Graph(predictor.model, predictor.task)
    image, images = picture(80, 160)  # a size that is padded where the model pads
    found = [one.numpy() for one in graph(torch.from_numpy(images))]
    (_, sample), *_ = predictor([image])
    compare(dict(zip(graph.outputs, found, strict=True)), sample)


@needs_onnx
def test_onnx_tells_padding_apart(stored, picture, tmp_path):
    export(stored('Deformable DETR'), tmp_path / 'm.onnx', size=(80, 160))
    image, images = picture(80, 160)
    found = load(tmp_path / 'm.onnx', 'onnx')(torch.from_numpy(images))
    (_, sample), *_ = Predictor(stored('Deformable DETR'))([image])
    names = ('boxes', 'scores', 'labels')
    compare({name: one.numpy() for name, one in zip(names, found, strict=True)}, sample)


@needs_onnx
@pytest.mark.parametrize(
    'name, kind',
    [
        pytest.param(name, kind, marks=[pytest.mark.slow] * ((name, kind) != ('segments', 'pt2')))
        for name in MODELS
        for kind in ('onnx', 'pt2')
    ],
)
def test_any_size(name, kind, stored, picture, tmp_path):
    options = {PADDING: 1} if PADDING in MODELS[name][1] else {}
    said = export(stored(name), tmp_path / f'm.{kind}', dynamic=True, options=options)
    stages = '24 cells in all maps or more'
    assert (stages in said) == (name in ('Deformable DETR', 'DINO'))
    run = load(tmp_path / f'm.{kind}', {'pt2': 'torch'}.get(kind, kind))
    predictor = Predictor(stored(name), options=options)
    outputs = Graph(predictor.model, predictor.task).outputs
    for height, width in ((96, 160), (160, 128)):
        image, images = picture(height, width)
        found = [one.numpy() for one in run(torch.from_numpy(images))]
        (_, sample), *_ = predictor([image])
        compare(dict(zip(outputs, found, strict=True)), sample)


def test_what_cannot_be_exported_says_why(stored, tmp_path):
    panoptic = {'model.test_cfg.instance_on': False}
    with pytest.raises(ConfigError, match='panoptic results, whose number of segments no graph'):
        export(stored('instances'), tmp_path / 'm.pt2', options=panoptic)
    with pytest.raises(ConfigError, match='22 cells in all maps, fewer than the 24 queries'):
        export(stored('DINO'), tmp_path / 'm.pt2', size=(32, 32), options={PADDING: 1})
    with pytest.raises(ConfigError, match='DINO cannot be exported with --fp16'):
        export(stored('DINO'), tmp_path / 'm.pt2', fp16=True)
    model = Predictor(stored('DINO')).model
    model.__class__ = type('OtherDINO', (type(model),), {})
    with pytest.raises(ConfigError, match=r'OtherDINO cannot be exported.*DINO can be'):
        Graph(model, 'det')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('sides', [2, 4])
def test_attention_is_that_of_mmcv(sides):
    torch.manual_seed(0)
    sizes = [(5, 7), (3, 4)]
    part = MultiScaleDeformableAttention(32, 4, 2, 3, batch_first=True).eval()
    for one in part.parameters():
        torch.nn.init.normal_(one)
    query, where, cells = (torch.randn(2, n, 32) for n in (6, 6, 47))
    told = dict(
        value=cells,
        query_pos=where,
        reference_points=torch.rand(2, 6, 2, sides),
        key_padding_mask=torch.rand(2, 47) > 0.7,
    )
    expected = part(query, spatial_shapes=torch.tensor(sizes), **told)
    found = DeformableAttention(part)(query, spatial_shapes=Levels(sizes, sizes), **told)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('size', [(80, 96), (128, 65), (33, 128), (128, 128)])
def test_padding_is_found_as_mmdet_finds_it(size):
    maps = [torch.zeros(1, 1, side, side) for side in (16, 8, 4, 2)]
    levels = Levels.of(maps, size, (128, 128))
    image = F.pad(torch.zeros(1, 1, *size), (0, 128 - size[1], 0, 128 - size[0]), value=1.0)
    for number, one in enumerate(maps):
        expected = F.interpolate(image, one.shape[-2:])[0] > 0
        found = levels.masks()[number]
        assert torch.equal(expected, torch.zeros_like(expected) if found is None else found)
        share = (~expected[0]).float()
        expected = torch.stack([share[0].mean(), share[:, 0].mean()])
        torch.testing.assert_close(levels.shares()[0, number], expected)
    first = levels.centres()[0, :2]
    torch.testing.assert_close(first[1] - first[0], torch.tensor([1 / levels.inside[0][1], 0.0]))


class Clamped(torch.nn.Module):
    """One value, clamped twice."""

    def forward(self, images):
        value = images.sigmoid()
        return value.clamp(0.2, 0.6) + value, value.clamp(0.2, 0.6) * 2, value.clamp(0.3, 0.7)


@needs_onnx
def test_a_value_may_be_clamped_twice(tmp_path):
    images = torch.randn(1, 3, 4, 4)
    program = torch.export.export(Clamped(), (images,))
    save(program, tmp_path / 'm.onnx', 'onnx', ('a', 'b', 'c'), {})
    found = load(tmp_path / 'm.onnx', 'onnx')(images)
    torch.testing.assert_close(found, list(Clamped()(images)))


def test_depth_is_compared_as_a_share_of_it():
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    from vitmm.export.parity import Limits, Parity, _depth

    depth = np.float32([[[1.0, 10.0], [80.0, 0.5]]])
    sample = SegDataSample(pred_depth_map=PixelData(data=torch.from_numpy(depth)))
    parity = Parity()
    _depth(parity, sample, {'depth': torch.from_numpy(depth * (1 + 5e-5))})
    assert parity.found['depth'] == pytest.approx(5e-5, rel=1e-2)
    assert not parity.beyond(Limits())
    _depth(parity, sample, {'depth': torch.from_numpy(depth + 0.001)})
    assert parity.beyond(Limits()) == ['depth differ by 0.002 (limit 0.0001)']


def test_boxes_of_the_same_score_may_suppress_each_other_in_half_precision():
    from mmengine.structures import InstanceData

    from vitmm.export.parity import HALF, Limits, Parity, _detections

    boxes = torch.tensor([[10.0, 10, 50, 50], [60, 60, 90, 90]]).repeat(20, 1)
    scores, labels = torch.linspace(0.9, 0.2, 40), torch.arange(40)
    sample = SimpleNamespace(
        pred_instances=InstanceData(bboxes=boxes, scores=scores, labels=labels)
    )
    other = boxes.clone()
    other[3] += torch.tensor([5.0, 0, 5, 0])  # 70 of 100 parts overlap
    found = dict(boxes=other[None], scores=scores[None] + 1e-3, labels=labels[None])
    parity = Parity()
    _detections(parity, sample, found, None, HALF)
    assert parity.swapped == 1 and not parity.beyond(HALF)
    assert '1 other boxes of the same score' in str(parity)
    parity = Parity()
    _detections(parity, sample, {**found, 'scores': scores[None]}, None, Limits(boxes=1))
    assert parity.beyond(Limits()) == ['boxes differ by 5 (limit 0.001)']
    for differs in (
        dict(scores=scores[None] + 0.03),  # no tie
        dict(boxes=boxes[None] + torch.tensor([0.0, 8, 0, 8])),  # of all of them
    ):
        parity = Parity()
        _detections(parity, sample, {**found, **differs}, None, HALF)
        assert parity.beyond(HALF)
