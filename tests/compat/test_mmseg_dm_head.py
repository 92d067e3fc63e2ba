"""mmseg's DMHead gives the same whichever way its maps lie."""

import pytest
import torch
from mmseg.models.decode_heads import DMHead


@pytest.mark.parametrize('fusion', [True, False])
def test_channels_last(fusion):
    torch.manual_seed(0)
    head = DMHead(
        filter_sizes=(1, 2, 3),
        fusion=fusion,
        in_channels=6,
        in_index=0,
        channels=4,
        num_classes=3,
        norm_cfg=dict(type='BN'),
    ).eval()
    maps = torch.randn(2, 6, 9, 7)
    plain = head([maps])
    last = head([maps.to(memory_format=torch.channels_last)])
    torch.testing.assert_close(last, plain)
    head.to(memory_format=torch.channels_last)
    torch.testing.assert_close(head([maps.to(memory_format=torch.channels_last)]), plain)
