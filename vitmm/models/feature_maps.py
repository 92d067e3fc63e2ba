"""The maps of one image batch, and the image size that they came from."""

from collections.abc import Iterable

import torch
from torch.utils import _pytree


class FeatureMaps(tuple):
    """A tuple of NCHW maps, finest first, that remembers the (H, W) of the images in pixels.

    The size cannot be told from the maps: a patch of 14 gives 16 x 16 tokens for 211 to 224
    pixels. A neck needs it to hand on maps of exactly ceil(H / s) x ceil(W / s).
    """

    image_size: tuple[int, int]

    def __new__(cls, maps: Iterable[torch.Tensor], image_size: tuple[int, int]) -> 'FeatureMaps':
        """Keep ``maps`` in order, beside the (H, W) in pixels of the images."""
        self = super().__new__(cls, maps)
        self.image_size = image_size
        return self

    def __reduce__(self):
        """Pickle and copy with the image size."""
        return FeatureMaps, (tuple(self), self.image_size)


# torch.export takes a backbone apart, and puts its output together again.
_pytree.register_pytree_node(
    FeatureMaps,
    lambda maps: (list(maps), maps.image_size),
    lambda maps, image_size: FeatureMaps(maps, tuple(image_size)),  # from a file it is a list
    serialized_type_name='vitmm.FeatureMaps',
)
