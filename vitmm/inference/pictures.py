"""Results drawn: pictures and videos."""

import errno
from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import BaseDataElement

from vitmm.errors import ConfigError
from vitmm.inference.drawing import Drawing
from vitmm.inference.files import write_image
from vitmm.inference.inputs import Item, Video
from vitmm.inference.predictor import Predictor


class PictureWriter:
    """Writes ``pictures/``: a ``.jpg`` of each image, an ``.mp4`` of each video.

    Args:
        out: the folder.
        predictor: of any task.
        score: boxes above it are drawn, 0 to 1.
    """

    def __init__(self, out: Path, predictor: Predictor, score: float = 0.3) -> None:
        self.folder, self.draw = out / 'pictures', Drawing(predictor, score)
        self.places = (self.folder,)
        self.clip: Clip | None = None

    def add(self, item: Item, sample: BaseDataElement) -> None:
        """Draw one image or frame."""
        picture = self.draw(item, sample)
        if self.clip is not None and self.clip.source != item.media.path:
            self.close()
        if item.frame is None:
            write_image(self.folder / f'{item.media.stem}.jpg', picture)
            return
        if self.clip is None:
            path = self.folder / f'{item.media.stem}.mp4'
            self.clip = Clip(path, item.media.path, Video(item.media).rate, picture.shape[:2])
        self.clip.add(picture)

    def close(self) -> None:
        """End the video that is being written."""
        if self.clip is not None:
            self.clip.close()
            self.clip = None


class Clip:
    """One video that grows beside its place; all pictures are (H, W, 3) uint8 RGB of one size."""

    def __init__(self, path: Path, source: str, rate: float, size: tuple[int, int]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.source, self.count = path, source, 0
        self.scratch = path.with_name(f'.writing-{path.name}')
        codec = cv2.VideoWriter_fourcc(*'mp4v')
        self.writer = cv2.VideoWriter(str(self.scratch), codec, rate, (size[1], size[0]))
        if not self.writer.isOpened():
            raise ConfigError(
                f'{path} cannot be written: this OpenCV has no encoder for MPEG-4. '
                'Leave pictures out of --formats.'
            )

    def add(self, picture: np.ndarray) -> None:
        """Append a frame."""
        self.writer.write(np.ascontiguousarray(picture[..., ::-1]))
        self.count += 1

    def close(self) -> None:
        """End the file.

        Raises:
            OSError: it lacks frames, of which OpenCV tells nobody; nothing is left of it.
        """
        self.writer.release()
        written = cv2.VideoCapture(str(self.scratch))
        count = written.get(cv2.CAP_PROP_FRAME_COUNT)
        written.release()
        if count < self.count - 1:  # which some readers work out from the length, and round
            self.scratch.unlink(missing_ok=True)
            words = 'not all of its frames could be written'
            raise OSError(errno.ENOSPC, words, str(self.path))
        self.scratch.replace(self.path)
