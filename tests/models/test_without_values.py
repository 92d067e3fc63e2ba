"""On a GPU that has no values: nothing can be read from it, and tensors of two devices do not meet.

Under torch's FakeTensorMode a tensor has a shape, a type and a device, also one that this machine
lacks. What runs so on a GPU makes the CPU wait for none of it, in any operator.
"""

import pytest
import torch
from families import FAMILIES
from pretended_gpu import autocast_as_there, needs_no_driver, send
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from vitmm.models import TimmBackbone

pytestmark = needs_no_driver
BACKBONES = [
    dict(model_name='test_vit', window_size=3, global_blocks=1),
    dict(model_name='test_convnext'),
    dict(model_name='eva02_tiny_patch14_224', window_size=5, global_blocks=1),
    *(
        pytest.param(dict(model_name=name), marks=pytest.mark.slow)
        for name in FAMILIES
        if name != 'sequencer2d_s'  # its LSTM asks the driver how weights lie in memory
    ),
]


def without_values(tensor):
    """As it would be on a GPU that is not there."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device='cuda')


@pytest.mark.parametrize('settings', BACKBONES, ids=lambda settings: settings['model_name'])
def test_maps_come_without_a_value(settings):
    backbone = TimmBackbone(**settings).train()
    with autocast_as_there(), FakeTensorMode(allow_non_fake_inputs=True):
        send(backbone, without_values)
        for amp in (False, True):
            with torch.autocast('cuda', torch.bfloat16, enabled=amp):
                maps = backbone(torch.empty(2, 3, 224, 250, device='cuda'))
            for level, channels, stride in zip(
                maps, backbone.channels, backbone.strides, strict=True
            ):
                assert level.device.type == 'cuda'
                assert level.shape == (2, channels, -(-224 // stride), -(-250 // stride))


def test_autocast_is_there():
    with autocast_as_there(), FakeTensorMode(), torch.autocast('cuda', torch.bfloat16):
        one = torch.ones(3, 3, device='cuda')
        assert (one @ one).dtype == torch.bfloat16


def test_a_value_cannot_be_read():
    with FakeTensorMode(), pytest.raises(DataDependentOutputException):
        torch.ones(3, device='cuda').sum().item()
    with FakeTensorMode(), pytest.raises(RuntimeError, match='device'):
        torch.ones(3, device='cuda') + torch.ones(3)
