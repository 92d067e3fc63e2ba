"""Files, folders, globs and videos as one stream of images."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from shlex import quote

import cv2
import numpy as np

from vitmm.datasets.errors import DataError
from vitmm.datasets.files import files_below
from vitmm.datasets.listing import IMAGE_SUFFIXES

IMAGES = (*IMAGE_SUFFIXES, '.tiff', '.webp', '.gif')  # of a GIF the first frame
_LISTS = ('.txt', '.csv', '.lst', '.json')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')


@dataclass(frozen=True)
class Media:
    """One file.

    Attributes:
        path: of the file.
        name: its path below the folder or glob that was given, ``'b/1.jpg'``; where two would be
            the same, below the folder that holds all.
        stem: for what is written about it: ``name`` without suffix, where that is unique.
    """

    path: str
    name: str
    stem: str

    @property
    def is_video(self) -> bool:
        """Whether it holds frames."""
        return self.path.lower().endswith(VIDEOS)


@dataclass(frozen=True)
class Item:
    """One image: a file, a frame of a video (from 0), or an array, (H, W, channels)."""

    media: Media
    frame: int | None = None
    image: np.ndarray | None = None

    @property
    def label(self) -> str:
        """What the user knows it by: the path, ``'clip.mp4#12'`` for a frame."""
        return self.media.path if self.frame is None else f'{self.media.path}#{self.frame}'


def find_media(
    inputs: str | os.PathLike | Iterable[str | os.PathLike], leave_out: str | None = None
) -> list[Media]:
    """List the images and videos that ``inputs`` name, each once.

    Args:
        inputs: files, folders (with all folders in them) and globs (``'a/**/*.jpg'``).
        leave_out: a folder that is passed over, that of the results.

    Raises:
        DataError: something that does not exist, or has no image or video in it.
    """
    inputs = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    roots: dict[str, str] = {}  # of each path; the first input that names it counts
    for one in inputs:
        for path, root in _expand(os.path.expanduser(one), leave_out):
            roots.setdefault(path, root)
    if not roots:
        raise DataError('no image is given.')
    names = [PurePath(os.path.relpath(path, root or None)) for path, root in roots.items()]
    if len(set(names)) < len(names) or any('..' in name.parts for name in names):
        whole = [os.path.abspath(path) for path in roots]
        names = [PurePath(os.path.relpath(path, os.path.commonpath(whole))) for path in whole]
    stems = Counter(name.with_suffix('') for name in names)
    return [
        Media(
            path,
            name.as_posix(),
            (name if stems[name.with_suffix('')] > 1 else name.with_suffix('')).as_posix(),
        )
        for path, name in zip(roots, names, strict=True)
    ]


def _expand(path: str, leave_out: str | None) -> list[tuple[str, str]]:
    """Each file that ``path`` names, and the folder that its name is told from."""
    if os.path.isfile(path):
        if path.lower().endswith(_LISTS):
            raise DataError(f'{path} is no image: give what it lists, $(cat {quote(path)}).')
        return [(path, os.path.dirname(path))]
    if os.path.isdir(path):
        root = path
        files = [*files_below(path)]
    else:
        root = _fixed_part(path)
        files = [file for file in glob.glob(path, recursive=True) if os.path.isfile(file)]
        if not files:
            what = 'no file fits' if glob.has_magic(path) else 'there is no file or folder'
            raise DataError(f'{what} {path}.{" Download it first." if "://" in path else ""}')
    if leave_out is not None:
        out = os.path.abspath(leave_out) + os.sep
        files = [file for file in files if not os.path.abspath(file).startswith(out)]
    found = sorted(file for file in files if file.lower().endswith(IMAGES + VIDEOS))
    if not found:
        raise DataError(
            f'{path} holds no image and no video ({" ".join(IMAGES)}; {" ".join(VIDEOS)}).'
        )
    return [(file, root) for file in found]


def _fixed_part(pattern: str) -> str:
    """The folders of a glob before its first pattern."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def count_items(media: Iterable[Media]) -> int | None:
    """The images and frames; None where a video does not tell."""
    total = 0
    for one in media:
        try:
            frames = Video(one).frames if one.is_video else 1
        except DataError:  # to be told of when it is its turn
            frames = 0
        if frames <= 0:
            return None
        total += frames
    return total


class Video:
    """A video file, read frame by frame through OpenCV.

    Attributes:
        frames: how many its header tells of; 0 or less where it does not.
        rate: frames a second.

    Raises:
        DataError: the file cannot be opened; while it is read: it ends before its last frame.
    """

    def __init__(self, media: Media) -> None:
        self.media = media
        self.capture = cv2.VideoCapture(media.path)
        if not self.capture.isOpened():
            raise DataError(
                f'{media.path} cannot be opened as a video: is it whole, and its codec known?'
            )
        self.frames = int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.rate = self.capture.get(cv2.CAP_PROP_FPS) or 25.0

    def __iter__(self) -> Iterator[Item]:
        count = 0
        try:
            while True:
                there, image = self.capture.read()
                if not there:
                    break
                yield Item(self.media, count, image)
                count += 1
        finally:
            self.capture.release()
        # Headers of some containers count by length and rate, and may be a little wrong.
        if count == 0 or self.frames - count > max(2, self.frames // 100):
            raise DataError(
                f'{self.media.path} ends early: {count} of its {self.frames} frames could be read. '
                'What was found in these is kept.'
            )


def array_items(images: Iterable[np.ndarray]) -> Iterator[Item]:
    """Arrays as items that are named by their number."""
    for number, image in enumerate(images):
        yield Item(Media(str(number), str(number), str(number)), None, np.asarray(image))
