"""Exports against PyTorch's own predictions, and what is refused."""

import json
import re
import sys

import numpy as np
import pytest
import torch
from exports import needs_onnx, run_apart, same_boxes
from torch.torch_version import TorchVersion

from vitmm.apis.export import export
from vitmm.apis.inference import Predictor
from vitmm.apis.publish import publish
from vitmm.errors import ConfigError, VitmmError
from vitmm.export.files import check_packages, load, save
from vitmm.export.graph import Graph
from vitmm.export.nms import best
from vitmm.models import TimmBackbone


@needs_onnx
def test_classification(trained, picture, tiny_shapes, tmp_path):
    folder = publish(trained('cls'), tmp_path / 'published')
    said = export(folder, tmp_path / 'm.onnx', check=[f'{tiny_shapes}/JPEGImages/val*.jpg'])
    assert 'checked on 4 images' in said
    predictor = Predictor(trained('cls'))
    image, images = picture(64, 64)
    found, classes = run_apart(tmp_path / 'm.onnx', np.concatenate([images] * 3), tmp_path)
    (_, ours), *_ = predictor([image])
    assert found['scores'].shape == (3, len(predictor.classes))
    for scores in found['scores']:
        np.testing.assert_allclose(scores, ours.pred_score, atol=1e-5)
    assert classes == predictor.classes


@needs_onnx
@pytest.mark.parametrize(
    ('settings', 'sizes'),
    [
        (dict(size=(64, 96)), [(64, 96)]),
        pytest.param(dict(dynamic=True), [(96, 64), (64, 96)], marks=pytest.mark.slow),
    ],
    ids=['one size', 'any size'],
)
def test_instances(settings, sizes, trained, picture, tmp_path):
    export(trained('det'), tmp_path / 'm.onnx', **settings)
    for height, width in sizes:
        image, images = picture(height, width)
        found, _ = run_apart(tmp_path / 'm.onnx', images, tmp_path)
        (_, ours), *_ = Predictor(trained('det'))([image])
        same_boxes(found, ours.pred_instances)
        # A mask over its box holds as many pixels as the one that mmdet pastes, but for the rim.
        count = len(ours.pred_instances)
        areas = (found['masks'][0, :count] > 0.5).mean((1, 2))
        sides = found['boxes'][0, :count, 2:] - found['boxes'][0, :count, :2]
        pasted = np.asarray(ours.pred_instances.masks).sum((1, 2))
        rim = 2 * sides.sum(1) + 4
        assert (np.abs(areas * sides.prod(1) - pasted) < rim).all()


@needs_onnx
def test_segments_of_any_size(trained, picture, tmp_path):
    export(trained('seg'), tmp_path / 'm.onnx', dynamic=True)
    image, images = picture(96, 64)
    found, _ = run_apart(tmp_path / 'm.onnx', images, tmp_path)
    (_, ours), *_ = Predictor(trained('seg'))([image])
    assert (found['labels'][0] == ours.pred_sem_seg.data[0].numpy()).mean() > 0.9999


@needs_onnx
@pytest.mark.parametrize(
    'settings',
    [dict(size=(96, 64)), pytest.param(dict(dynamic=True), marks=pytest.mark.slow)],
    ids=['one size', 'any size'],
)
def test_depth(settings, trained, picture, tiny_shapes, tmp_path):
    image = min((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    said = export(trained('depth'), tmp_path / 'm.onnx', check=[image], **settings)
    assert 'depth (N, H, W) in metres' in said and 'of the depth' in said
    image, images = picture(96, 64)
    (depth,) = load(tmp_path / 'm.onnx', 'onnx')(torch.from_numpy(images).repeat(2, 1, 1, 1))
    (_, ours), *_ = Predictor(trained('depth'))([image])
    expected = ours.pred_depth_map.data.expand(2, -1, -1)
    torch.testing.assert_close(depth, expected, rtol=1e-5, atol=1e-5)


@needs_onnx
def test_deformable_convolutions(untrained, tiny_shapes, tmp_path):
    deforming = {'model.bbox_head.dcn_on_last_conv': True, 'model.test_cfg.score_thr': 0.0}
    checkpoint = untrained('det/resnet_fcos.py', 'test_resnet', image_scale=(64, 64), **deforming)
    images = sorted((tiny_shapes / 'JPEGImages').glob('val*.jpg'))[:2]
    said = export(checkpoint, tmp_path / 'm.onnx', check=images)
    assert re.search(r'checked on 2 images.* 0 of [1-9]\d* detections unmatched', said)
    nodes = pytest.importorskip('onnx').load(tmp_path / 'm.onnx').graph.node
    assert any(node.op_type == 'DeformConv' for node in nodes)


def test_depth_has_no_classes(trained, tmp_path):
    export(trained('depth'), tmp_path / 'm.pt2', size=(64, 64))
    told = {'vitmm.json': ''}
    torch.export.load(tmp_path / 'm.pt2', extra_files=told)
    assert json.loads(told['vitmm.json'])['task'] == 'depth'
    assert 'classes' not in json.loads(told['vitmm.json'])
    assert Predictor(trained('depth')).classes is None
    publish(trained('depth'), tmp_path / 'published')
    assert 'classes' not in (tmp_path / 'published/README.md').read_text()


def test_depth_by_windows_and_their_mirror_images(trained, picture):
    model = Predictor(trained('depth'), options={'model.test_cfg.mode': 'slide_flip',
        'model.test_cfg.crop_size': (64, 64), 'model.test_cfg.stride': (32, 32)})  # fmt: skip
    image, images = picture(96, 64)
    (depth,) = Graph(model.model, 'depth')(torch.from_numpy(images))
    (_, ours), *_ = model([image])
    torch.testing.assert_close(depth, ours.pred_depth_map.data)


def test_windows_and_torch_export(trained, picture, tmp_path):
    options = {
        'model.test_cfg.mode': 'slide',
        'model.test_cfg.crop_size': (64, 64),
        'model.test_cfg.stride': (40, 40),
    }
    export(trained('seg'), tmp_path / 'm.pt2', size=(96, 96), options=options)
    image, images = picture(96, 96)
    told = {'vitmm.json': ''}
    program = torch.export.load(tmp_path / 'm.pt2', extra_files=told)
    (labels,) = program.module()(torch.from_numpy(images).repeat(2, 1, 1, 1))
    (_, ours), *_ = Predictor(trained('seg'), options=options)([image])
    assert (labels[1] == ours.pred_sem_seg.data[0]).float().mean() > 0.9999
    assert json.loads(told['vitmm.json'])['task'] == 'seg'


@needs_onnx
def test_half_precision(trained, picture, tiny_shapes, tmp_path):
    image = min((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    for fp16 in (False, True):
        export(trained('cls'), tmp_path / f'{fp16}.onnx', fp16=fp16, check=[image])
    sizes = [(tmp_path / f'{fp16}.onnx').stat().st_size for fp16 in (False, True)]
    assert sizes[1] < 0.7 * sizes[0]
    found, _ = run_apart(tmp_path / 'True.onnx', picture(64, 64)[1], tmp_path)
    assert found['scores'].dtype == np.float32


def test_nms_against_a_plain_loop():
    torch.manual_seed(0)
    boxes = torch.rand(60, 4) * 20
    boxes[:, 2:] += boxes[:, :2]
    scores, groups, candidates = torch.rand(60), torch.randint(0, 3, (60,)), torch.rand(60) > 0.3
    kept = []
    for one in scores.argsort(descending=True).tolist():
        x1, y1, x2, y2 = boxes[one].tolist()
        for other in kept:
            a1, b1, a2, b2 = boxes[other].tolist()
            inside = max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - inside
            if groups[one] == groups[other] and inside / union > 0.4:
                break
        else:
            if candidates[one]:
                kept.append(one)
    assert 10 < len(kept) < candidates.sum()
    order, found = best(boxes, scores, groups, candidates, dict(iou_threshold=0.4), 50)
    assert len(order) == 50
    assert order[found >= 0].tolist() == kept
    assert (
        best(boxes, scores, groups, candidates, dict(iou_threshold=0.4), 3)[0].tolist() == kept[:3]
    )


class Best(torch.nn.Module):
    """What is above a threshold, after NMS."""

    def forward(self, boxes, scores, least):
        groups = torch.zeros_like(scores).long()
        return best(boxes, scores, groups, scores > least, dict(iou_threshold=0.5), 4)


@pytest.mark.parametrize('kind', ['torch', pytest.param('onnx', marks=needs_onnx)])
def test_graphs_find_none_one_and_many(kind, tmp_path):
    corners = torch.arange(6.0)[:, None] * 10
    boxes = torch.cat([corners, corners, corners + 8, corners + 8], 1)
    boxes[1] = boxes[0] + 1  # the better of the two is left
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    program = torch.export.export(Best(), (boxes, scores, torch.tensor(0.45)), strict=False)
    if kind == 'torch':
        run = program.module()
    else:
        import onnxruntime

        torch.onnx.export(program, (), tmp_path / 'm.onnx', dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(tmp_path / 'm.onnx')
        names = [one.name for one in session.get_inputs()]

        def run(*values):
            given = dict(zip(names, (value.numpy() for value in values), strict=True))
            return [torch.from_numpy(one) for one in session.run(None, given)]

    for least, expected in (
        (1.0, []),
        (0.85, [0]),
        (0.75, [0]),
        (0.65, [0, 2]),
        (0.0, [0, 2, 3, 4]),
    ):
        order, found = run(boxes, scores, torch.tensor(least))
        assert order[found >= 0].tolist() == expected
        assert found.tolist() == pytest.approx(
            scores[expected].tolist() + [-1] * (4 - len(expected))
        )


def test_an_export_that_differs_is_not_kept(trained, tiny_shapes, tmp_path, monkeypatch):
    from vitmm.apis import export as module

    def load(path, kind):
        run = real(path, kind)

        def moved(images):
            boxes, *rest = run(images)
            return [boxes + 0.01, *rest]

        return moved

    real = module.load
    monkeypatch.setattr(module, 'load', load)
    image = min((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    with pytest.raises(VitmmError, match=r'differs from PyTorch .* boxes differ by 0.01'):
        export(trained('det'), tmp_path / 'm.pt2', check=[image])
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    said = export(trained('det'), tmp_path / 'm.pt2', check=[image])
    assert 'of 20 detections' in said and 'warning' not in said


def test_a_check_that_compares_nothing_says_so(trained, tiny_shapes, tmp_path, monkeypatch):
    def save(program, path, *_):
        path.write_bytes(b'')
        return [path]

    nothing = (
        torch.zeros(1, 3, 4),
        torch.zeros(1, 3),
        torch.full((1, 3), -1),
        torch.zeros(1, 3, 2, 2),
    )
    monkeypatch.setattr('vitmm.apis.export.trace', lambda *_: None)
    monkeypatch.setattr('vitmm.apis.export.save', save)
    monkeypatch.setattr('vitmm.apis.export.load', lambda *_: lambda images: list(nothing))
    image = min((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    options = {'model.test_cfg.rcnn.score_thr': 0.99}
    said = export(trained('det'), tmp_path / 'm.pt2', check=[image], options=options)
    assert 'checked on 1 images: 0 of 0 detections unmatched' in said
    assert 'warning: nothing was found in these 1 images, so no boxes were compared' in said


@pytest.mark.parametrize(
    ('task', 'settings', 'words'),
    [
        ('det', dict(options={'model.test_cfg.rcnn.nms.type': 'soft_nms'}), 'soft_nms'),
        ('det', dict(options={'model.roi_head.type': 'mmdet.PISARoIHead'}), 'PISARoIHead cannot'),
        ('cls', dict(size=(64, 64), dynamic=True), '--size'),
        ('depth', {}, 'images in their own size: .* --size H W, or --dynamic'),
        ('cls', dict(out='m.pt2', format='onnx'), r'name it \*\.onnx'),
        ('cls', dict(check=['/nowhere.jpg']), '/nowhere.jpg'),
        ('cls', dict(checkpoint='/nowhere.pth'), 'does not exist'),
    ],
    ids=['nms', 'head', 'size', 'no size', 'suffix', 'image', 'checkpoint'],
)
def test_what_cannot_be_exported_leaves_nothing(task, settings, words, trained, tmp_path):
    settings = {'checkpoint': trained(task), 'out': 'm.pt2', **settings}
    with pytest.raises(VitmmError, match=words):
        export(**{**settings, 'out': tmp_path / settings['out']})
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ConfigError, match='needs onnxscript: pip install onnxscript'):
        export(trained('cls'), tmp_path / 'm.onnx')
    assert not list(tmp_path.iterdir())


def test_a_torch_that_is_too_old_for_onnx_is_named(monkeypatch):
    monkeypatch.setattr('vitmm.export.files.import_module', lambda name: None)
    monkeypatch.setattr(torch, '__version__', TorchVersion('2.6.0+cpu'))
    check_packages('torch')
    with pytest.raises(ConfigError, match=r'torch 2\.7 or later, .* torch 2\.6\.0\+cpu: update it'):
        check_packages('onnx')


@needs_onnx
def test_embeddings_of_places_are_resampled_as_by_torch(tmp_path):
    # A tenth off where onnxscript resamples them while it optimises the graph.
    backbone = TimmBackbone('test_vit')  # of 160 x 160

    class Maps(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = backbone.eval()

        def forward(self, images):
            return tuple(self.backbone(images))[:1]

    images = torch.randn(1, 3, 224, 224)
    program = torch.export.export(Maps(), (images,))
    save(program, tmp_path / 'm.onnx', 'onnx', ('maps',), {})
    (found,) = load(tmp_path / 'm.onnx', 'onnx')(images)
    torch.testing.assert_close(found, Maps()(images)[0], rtol=1e-4, atol=1e-4)
