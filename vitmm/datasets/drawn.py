"""What the sets that this package draws have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vitmm.datasets.atomic import write_once
from vitmm.datasets.errors import DataError

if TYPE_CHECKING:
    from tqdm import tqdm


def write_drawn(
    root: str | os.PathLike,
    name: str,
    version: int,
    seed: int,
    counts: Mapping[str, int],
    draw: Callable[[Path, tqdm], None],
) -> Path:
    """Draw a set once, with a bar; ``<name>.json`` notes of what counts, seed and version it is.

    Args:
        root: folder to write.
        name: of the set.
        version: of the code that draws.
        seed: 0 or more.
        counts: images by what they are for.
        draw: writes the set into a folder, and updates the bar with each image.

    Raises:
        DataError: ``root`` holds something else, or a set of other counts, seed or version; or a
            number is negative.
    """
    if min(seed, *counts.values()) < 0:
        raise DataError(f'the counts and the seed of the {name} data set must be 0 or more')
    manifest = {'dataset': name, 'version': version, 'seed': seed}
    manifest |= {f'num_{split}': count for split, count in counts.items()}

    def write(folder: Path) -> None:
        from tqdm import tqdm

        total = sum(counts.values())
        print(f'drawing the {name} data set, {total} images, into {root} (once)', flush=True)
        with tqdm(total=total, unit='image', disable=None) as bar:  # a bar on terminals only
            draw(folder, bar)

    return write_once(root, f'{name}.json', manifest, write)
