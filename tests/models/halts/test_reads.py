"""What would halt a GPU is counted, each once, and what would not is not."""

import pytest
import torch
from torchvision.ops import nms

from vitmm.models.halts.reads import CountReads

X = torch.arange(6.0).reshape(2, 3)
HALTS = {
    'item': lambda: X[0, 0].item(),
    'bool': lambda: bool((X > 2).all()),
    'nonzero': lambda: X.nonzero(),
    'unique': lambda: X.unique(),
    'masked_select': lambda: X.masked_select(X > 2),
    'mask': lambda: X[X > 2],
    'mask of bytes': lambda: X[(X > 2).to(torch.uint8)],
    'setting by a mask': lambda: X.clone().index_put_((X > 2,), torch.zeros(3)),
    'to a list': lambda: X.tolist(),
    'to the CPU': lambda: X.cpu(),
    'suppression': lambda: nms(torch.tensor(1.0).expand(2, 4), X[:, 0], 0.5),
    'list': lambda: torch.tensor([1.0, 2.0]),
}
NONE = {
    'number': lambda: torch.tensor(1.0),
    'index': lambda: X[torch.zeros(2, dtype=torch.long)],
    'filling by a mask': lambda: X.clone().index_put_((X > 2,), torch.zeros(())),
    'slice': lambda: X[:, 1:] + 1,
    'where': lambda: torch.where(X > 2, X, 0),
}


@pytest.mark.parametrize('name', HALTS)
def test_what_halts(name):
    told = []
    with CountReads(lambda: told.append(name)) as reads:
        HALTS[name]()
    assert (reads.count, told) == (1, [name])


@pytest.mark.parametrize('name', NONE)
def test_what_does_not(name):
    with CountReads() as reads:
        NONE[name]()
    assert reads.count == 0
