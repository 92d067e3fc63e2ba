"""Windows of a map hold each of its tokens once, at the place where torch.split would have it."""

import pytest
import torch

from vitmm.models.backbones.partition import tiles


@pytest.mark.parametrize('height, width, size', [(4, 6, 2), (5, 7, 3), (2, 9, 4), (1, 1, 5)])
def test_windows_are_those_of_split(height, width, size):
    cells = torch.arange(2 * height * width).reshape(2, height, width, 1)
    expected = [
        window.flatten(1, 2)
        for row in cells.split(size, dim=1)
        for window in row.split(size, dim=2)
    ]
    rows, found = [], []
    for band in tiles(height, width, size):
        parts = [tile.cut(cells) for tile in band]
        found += [window for part in parts for window in part.unbind(1)]
        rows.append(torch.cat([t.join(p) for t, p in zip(band, parts, strict=True)], dim=2))
    assert torch.equal(torch.cat(rows, dim=1), cells)
    order = {int(window[0, 0, 0]): window for window in found}  # by their first tokens
    assert len(order) == len(expected)
    for window in expected:
        assert torch.equal(order[int(window[0, 0, 0])], window)
