"""Exports that take images of any size, at sizes unlike the example's."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from exports import needs_onnx
from torch.nn import functional as F

from vitmm.apis.export import export
from vitmm.apis.inference import Predictor
from vitmm.errors import VitmmError
from vitmm.export.files import SUFFIXES, load, save
from vitmm.export.graph import Graph
from vitmm.export.pooling import adaptive_average
from vitmm.export.tracing import trace


@pytest.mark.parametrize('windows', [1, 2, 3, 6, (7, 5), (None, 4)], ids=str)
def test_averages_are_those_of_torch(windows):
    for height, width in itertools.product((1, 2, 5, 6, 13, 50), repeat=2):
        maps = torch.randn(2, 3, height, width)
        expected = F.adaptive_avg_pool2d(maps, windows)
        torch.testing.assert_close(adaptive_average(maps, windows), expected, rtol=0, atol=1e-6)
    half = torch.randn(2, 3, 13, 7).half()
    torch.testing.assert_close(
        adaptive_average(half, windows), F.adaptive_avg_pool2d(half, windows)
    )


class Pyramid(torch.nn.Module):
    """Averages over 1, 2, 3 and 6 windows a side."""

    batches = True
    prepare = SimpleNamespace(mean=torch.zeros(3, 1, 1))

    def forward(self, images):
        return tuple(F.adaptive_avg_pool2d(images, count) for count in (1, 2, 3, 6))


@needs_onnx
def test_windows_follow_the_images(tmp_path):
    program = trace(Pyramid(), (11, 13), dynamic=1)
    save(program, tmp_path / 'm.onnx', 'onnx', tuple('abcd'), {})
    run = load(tmp_path / 'm.onnx', 'onnx')
    for count, height, width in itertools.product((1, 2, 3), (1, 2, 6, 11, 37), (1, 5, 64)):
        images = torch.randn(count, 3, height, width)
        torch.testing.assert_close(run(images), list(Pyramid()(images)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    'kind', ['torch', pytest.param('onnx', marks=[needs_onnx, pytest.mark.slow])]
)
def test_segments_of_small_and_of_other_sizes(kind, untrained, picture, tmp_path):
    stored = untrained('seg/vit_upernet.py', 'test_vit')
    said = export(stored, tmp_path / f'm{SUFFIXES[kind]}', dynamic=True)
    # Torch's guards stop where the coarsest map would be one cell; torch 2.6 has no such.
    least = 64 if 'whole multiples of 32, 64 or more' in said else 32
    assert least == (64 if kind == 'torch' else 32) or torch.__version__ < '2.11'
    run, predictor = load(tmp_path / f'm{SUFFIXES[kind]}', kind), Predictor(stored)
    graph = Graph(predictor.model, predictor.task)
    for size in ((least, least), (96, 160)):
        images = torch.from_numpy(picture(*size)[1]).repeat(3, 1, 1, 1)
        (labels,), (expected,) = run(images), graph(images)
        assert (labels == expected).float().mean() > 0.9999
    if least > 32:
        with pytest.raises(VitmmError, match=r'torch.export cannot run .*\(1, 3, 32, 64\).*Guard'):
            run(torch.zeros(1, 3, 32, 64))


@needs_onnx
def test_what_cannot_be_run_is_not_kept(trained, tiny_shapes, tmp_path, monkeypatch):
    def keep(program, path, kind, *_):
        save(other, path, kind, ('scores',), {})
        return [path]

    # A graph that takes no images but those of its example.
    other = torch.export.export(torch.nn.Sigmoid(), (torch.randn(1, 3, 32, 32),))
    image = min((tiny_shapes / 'JPEGImages').glob('val*.jpg'))
    monkeypatch.setattr('vitmm.apis.export.trace', lambda *_: None)
    monkeypatch.setattr('vitmm.apis.export.save', keep)
    with pytest.raises(VitmmError, match=r'ONNX Runtime cannot run the export .*\(1, 3, 64'):
        export(trained('cls'), tmp_path / 'm.onnx', size=(64, 64), check=[image])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr('vitmm.apis.export.save', lambda *a: [a[1].write_bytes(b'0')] and [a[1]])
    with pytest.raises(VitmmError, match='ONNX Runtime cannot load the export: InvalidProtobuf'):
        export(trained('cls'), tmp_path / 'm.onnx', size=(64, 64), check=[image])
    assert not list(tmp_path.iterdir())
