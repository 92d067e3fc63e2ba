"""Components that come image by image against the singular vectors of all at once."""

import numpy as np
import torch

from vitmm.visualization.pca import Components


def maps(*sizes, channels=7):
    seed = torch.Generator().manual_seed(0)
    mix = torch.randn(channels, channels, generator=seed)
    return [torch.einsum('ck,khw->chw', mix, torch.randn(channels, h, w, generator=seed)) + 3
            for h, w in sizes]  # fmt: skip


def test_components_are_numpys():
    given = maps((4, 5), (6, 3), (2, 2))
    found = Components()
    for one in given:
        found.add(one)
    found.fit()
    vectors = np.concatenate([one.flatten(1).T.numpy() for one in given]).astype(float)
    centred = vectors - vectors.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))
    np.testing.assert_allclose(found.axes, (axes * signs)[:3], atol=1e-9)
    np.testing.assert_allclose(found.deviations, singular[:3] / len(vectors) ** 0.5, rtol=1e-9)
    projected = torch.cat([found.project(one).flatten(1) for one in given], 1)
    np.testing.assert_allclose(projected.T, centred @ (axes * signs)[:3].T, atol=1e-5)


def test_colours_are_deviations_around_grey():
    given = maps((8, 8))[0]
    found = Components()
    found.add(given)
    found.fit()
    colours = found.colours(given)
    expected = 0.5 + found.project(given) / (5 * found.deviations[:, None, None])
    np.testing.assert_allclose(colours, expected.clip(0, 1).permute(1, 2, 0), atol=1e-6)
    flat = Components()
    flat.add(torch.ones(2, 3, 3))  # fewer channels than colours, and no variance
    flat.fit()
    np.testing.assert_allclose(flat.colours(torch.ones(2, 3, 3)), 0.5)


def test_foreground_is_the_side_of_the_middle():
    """Whichever sign the component has."""
    for sign in (1, -1):
        given = torch.zeros(4, 6, 6)
        given[1, 2:4, 2:5] = 5 * sign
        given += 0.01 * torch.randn(given.shape, generator=torch.Generator().manual_seed(0))
        found = Components()
        found.add(given)
        found.fit()
        mask = found.foreground(given)
        expected = torch.zeros(6, 6, dtype=torch.bool)
        expected[2:4, 2:5] = True
        assert torch.equal(mask, expected)
        alone = Components()
        alone.add(given, mask)
        alone.fit()
        assert alone.count == 6
        np.testing.assert_allclose(alone.mean, given[:, mask].double().mean(1), atol=1e-9)
