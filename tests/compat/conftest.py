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


@pytest.fixture(scope='module')
def one_process(tmp_path_factory):
    """A process group of this process alone."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path_factory.mktemp("group") / "store"}',
        rank=0, world_size=1,
    )  # fmt: skip
    yield
    torch.distributed.destroy_process_group()
