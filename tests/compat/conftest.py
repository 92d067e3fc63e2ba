"""The devices that the ops run on, and random tensors that repeat."""

import pytest
import torch

import vitmm  # noqa: F401  (makes mmcv.ops importable, as it does for users)


@pytest.fixture(params=['cpu', pytest.param('cuda', marks=pytest.mark.cuda)])
def device(request):
    return request.param


@pytest.fixture(autouse=True)
def _same_numbers():
    torch.manual_seed(0)
