"""What timm's models keep from one evaluation to the next is that of the weights they have."""

from pathlib import Path

import pytest
import timm
import torch
from mmengine.runner.checkpoint import load_state_dict
from timm.models import model_entrypoint

from vitmm.models import TimmBackbone

KEEPING = (
    'efficientformer_l1',
    'efficientformerv2_s0',
    'efficientvit_m0',
    'levit_128s',
    'tiny_vit_5m_224',
)


def test_every_model_file_that_keeps_something_is_here():
    files = Path(timm.models.__file__).parent.glob('*.py')
    keeping = {file.stem for file in files if 'attention_bias_cache' in file.read_text('utf-8')}
    assert keeping == {model_entrypoint(name).__module__.split('.')[-1] for name in KEEPING}


@pytest.mark.parametrize('name', KEEPING)
@pytest.mark.parametrize('load', [torch.nn.Module.load_state_dict, load_state_dict])
@torch.no_grad()
def test_loaded_weights_count_at_once(name, load):
    torch.manual_seed(0)
    first, second = (TimmBackbone(name).eval() for _ in range(2))
    for backbone in (first, second):
        for key, parameter in backbone.named_parameters():
            if 'attention_bias' in key:
                parameter.normal_()
    images = torch.randn(1, 3, *first.canvas.native)
    before = first(images)
    load(first, second.state_dict())
    for own, other, old in zip(first(images), second(images), before, strict=True):
        torch.testing.assert_close(own, other)
        assert not torch.allclose(own, old)
