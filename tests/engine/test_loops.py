"""Validation in inference mode, in the precision of training."""

from types import SimpleNamespace

import pytest
import torch
from pretended_gpu import OnGPU, PretendedGPU
from support import BACKBONES

from vitmm.engine import TestLoop, ValLoop, loops
from vitmm.engine.loops import keep_on_cpu
from vitmm.models import TimmBackbone


class Evaluator:
    dataset_meta = None

    def __init__(self):
        self.seen = []

    def process(self, data_samples, data_batch):
        self.seen.append((torch.is_inference_mode_enabled(), data_samples[0].dtype))

    def evaluate(self, size):
        return {'size': size}


class Model(torch.nn.Linear):
    def val_step(self, batch):
        return [self(batch)]

    test_step = val_step


class Visualizer:
    dataset_meta = None


class Runner:
    visualizer = Visualizer()

    def __init__(self, model):
        self.model = model

    def build_evaluator(self, evaluator):
        return Evaluator()

    def call_hook(self, *args, **kwargs):
        pass


@pytest.mark.parametrize('kind', [ValLoop, TestLoop])
@pytest.mark.parametrize('fp16, dtype', [(False, torch.float32), (True, torch.bfloat16)])
def test_inference_mode_and_autocast(kind, fp16, dtype, monkeypatch):
    data = torch.utils.data.DataLoader(torch.randn(6, 3), batch_size=2)
    loop = kind(Runner(Model(3, 1)), data, [], fp16=fp16)
    loop.evaluator = Evaluator()
    kept = SimpleNamespace(results=['before'])
    loop.evaluator.metrics = [kept]
    monkeypatch.setattr(loops, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(loops, 'keep_on_cpu', lambda results, since: results.append(since))
    assert loop.run() == {'size': 6}
    assert kept.results == ['before', 1, 2, 3]  # after each batch, what it brought
    assert loop.evaluator.seen == [(True, dtype)] * 3
    assert not torch.is_inference_mode_enabled()


def test_what_metrics_keep_comes_from_a_gpu():
    results = [torch.ones(1)]
    with torch.no_grad(), PretendedGPU():
        there = OnGPU(torch.ones(2))
        results += [dict(score=there, label=3), (there, there)]
        keep_on_cpu(results, since=1)
    assert results[1]['label'] == 3
    for tensor in (results[1]['score'], *results[2]):
        assert tensor.device.type == 'cpu' and not isinstance(tensor, OnGPU)


@pytest.mark.parametrize('name', BACKBONES)
def test_what_a_model_keeps_from_a_validation_may_be_trained_with(name):
    """Some models keep what they make for a size; tensors of inference mode take no gradient."""
    backbone = TimmBackbone(name)
    images = torch.randn(2, 3, 256, 192)
    with torch.inference_mode():
        backbone.eval()(images)
    sum(m.mean() for m in backbone.train()(images)).backward()
