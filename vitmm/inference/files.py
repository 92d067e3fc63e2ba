"""Files of results that are whole, or not there under their name."""

import os
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np

from vitmm.whole_files import write_whole


def write_image(path: Path, image: np.ndarray) -> None:
    """Write (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB, as the suffix of ``path`` says."""
    image = image[..., ::-1] if image.ndim == 3 else image
    done, content = cv2.imencode(path.suffix, image)
    if not done:
        raise OSError(f'OpenCV cannot encode {path}')
    write_whole(path, content.tobytes())


class Growing:
    """A text file that grows beside its place, and is moved into it when it is closed.

    Args:
        path: its place; what lies there stays as long as nothing is begun.
        head: its first words.
    """

    def __init__(self, path: Path, head: str) -> None:
        self.path, self.head = path, head
        self.scratch = path.with_name(f'.{path.name}.{os.getpid()}')
        self.file: TextIO | None = None

    def begin(self) -> TextIO:
        """The open file, which at first has its head."""
        if self.file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.scratch.open('w', encoding='utf-8', newline='')
            self.file.write(self.head)
        return self.file

    def close(self, tail: str = '') -> None:
        """End the file, if it was begun; where its end cannot be written, nothing is left of it."""
        if self.file is None:
            return
        try:
            with self.file:
                self.file.write(tail)
            self.scratch.replace(self.path)
        finally:
            self.scratch.unlink(missing_ok=True)
