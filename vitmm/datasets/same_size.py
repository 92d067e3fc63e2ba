"""Batches of images of one size, so that none of them is padded."""

import io
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from mmengine import fileio
from PIL import Image
from torch.utils.data import BatchSampler, Sampler

from vitmm.datasets.jpeg import read_header
from vitmm.registry import DATA_SAMPLERS

_HEAD = 2**18  # bytes: EXIF and a colour profile come first


@DATA_SAMPLERS.register_module()
class SameSizeBatchSampler(BatchSampler):
    """Batch the images of a sampler that have the same height and width.

    In testing, segmenters of mmseg take batches of one size; padding, which changes what pooling
    and borders see, would change the figures. In such batches they are those of single images.
    Images come in another order than without; what fills up the last processes comes last.

    Args:
        sampler: MMEngine's, whose ``dataset`` tells the files.
        batch_size: at most so many images, 1 or more.
        drop_last: leave out what fills no batch.
    """

    def __init__(self, sampler: Sampler, batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self.sizes: dict[int, tuple] = {}

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches())

    def __len__(self) -> int:
        return len(self._batches())

    def _batches(self) -> list[list[int]]:
        waiting: dict[tuple, list[int]] = defaultdict(list)
        batches, again = [], []
        for place, index in enumerate(self.sampler):
            if self._is_filling(place):
                again.append([index])
                continue
            batch = waiting[self._size(index)]
            batch.append(index)
            if len(batch) == self.batch_size:
                batches.append(batch.copy())
                batch.clear()
        rest = [] if self.drop_last else [batch for batch in waiting.values() if batch]
        return batches + rest + again

    def _is_filling(self, place: int) -> bool:
        """Whether an image is there for a second time, so that all processes have as many.

        MMEngine takes turns with the processes' results and drops as many of the last.
        """
        world = getattr(self.sampler, 'world_size', 1)
        number = place * world + getattr(self.sampler, 'rank', 0)
        return getattr(self.sampler, 'round_up', False) and number >= len(self.sampler.dataset)

    def _size(self, index: int) -> tuple:
        if index not in self.sizes:
            path = self.sampler.dataset.get_data_info(index)['img_path']
            self.sizes[index] = _size_of(path) or (index,)
        return self.sizes[index]


def _head(path: str) -> bytes:
    """Enough of an image file for its header: of 2,000 photographs all bytes are a gigabyte."""
    if not os.path.isfile(path):
        return fileio.get(path)
    with open(path, 'rb') as file:
        return file.read(_HEAD)


def _size_of(path: str) -> Sequence[int]:
    """(height, width) of an image file; nothing where its header does not tell."""
    try:
        content = _head(path)
        header = read_header(content)
        if header:
            return header.height, header.width
        if content.startswith(b'\xff\xd8'):  # turned by EXIF in a way that is not told
            return ()
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except Exception:  # what is broken is told of when it is loaded
        return ()
