"""The maps of one image batch, and the image size that they came from."""

from collections.abc import Iterable

import torch
from torch.utils import _pytree


class FeatureMaps(tuple):
    """A tuple of NCHW maps, finest first, that remembers the (H, W) of the images in pixels.

    The size cannot be told from the maps: a patch of 14 gives 16 x 16 tokens for 211 to 224
    pixels. A neck needs it to hand on maps of exactly ceil(H / s) x ceil(W / s).

    ``class_tokens``: the class token (N, C) of each map, where the backbone was asked for them.
    """

    image_size: tuple[int, int]
    class_tokens: tuple[torch.Tensor, ...]

    def __new__(
        cls,
        maps: Iterable[torch.Tensor],
        image_size: tuple[int, int],
        class_tokens: Iterable[torch.Tensor] = (),
    ) -> 'FeatureMaps':
        """Keep ``maps`` in order, beside the (H, W) in pixels of the images."""
        self = super().__new__(cls, maps)
        self.image_size = image_size
        self.class_tokens = tuple(class_tokens)
        return self

    def __reduce__(self):
        """Pickle and copy with the image size."""
        return FeatureMaps, (tuple(self), self.image_size, self.class_tokens)


def _together(parts: Iterable, image_size: Iterable[int]) -> FeatureMaps:
    maps, class_tokens = parts
    return FeatureMaps(maps, tuple(image_size), class_tokens)  # from a file it is a list


# torch.export takes a backbone apart, and puts its output together again.
_pytree.register_pytree_node(
    FeatureMaps,
    lambda maps: ([[*maps], [*maps.class_tokens]], maps.image_size),
    _together,
    serialized_type_name='vitmm.FeatureMaps',
)
