"""Files of results that are whole, or not there under their name."""

import os
from pathlib import Path

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
    """A text file that grows beside its place, and is moved into it when it is closed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.scratch = path.with_name(f'.{path.name}.{os.getpid()}')
        self.file = self.scratch.open('w', encoding='utf-8', newline='')

    def close(self) -> None:
        """End the file; where its end cannot be written, nothing is left of it."""
        try:
            self.file.close()
            self.scratch.replace(self.path)
        finally:
            self.scratch.unlink(missing_ok=True)
