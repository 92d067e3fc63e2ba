"""The checkpoints and published models that lie under a folder, and images to try them on."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vitmm.compat.checkpoint import PUBLISHED, CheckpointError, weights_file
from vitmm.config.stored import configs_in, read_stored
from vitmm.datasets.classes import given_classes
from vitmm.datasets.entries import read_entries
from vitmm.datasets.sources import leaves, read_source
from vitmm.errors import VitmmError
from vitmm.inference.stored_model import published_metadata


@dataclass(frozen=True)
class FoundModel:
    """One checkpoint, or a folder that ``tools/publish_model.py`` wrote.

    Attributes:
        path: what :class:`vitmm.inference.predictor.Predictor` takes.
        name: for people: where it lies, and its config where the folder is not named after it.
        config: the file of its resolved config, or None where none lies beside it.
    """

    path: Path
    name: str
    config: Path | None


def find_models(paths: Iterable[str | Path]) -> list[FoundModel]:
    """List checkpoints, published folders, and all of both in other folders.

    The order of ``paths`` is kept. In a folder the newest run comes first, and of a run the best
    checkpoint (``best_*.pth``) before the others, these from the newest on.

    Raises:
        CheckpointError: a path that does not exist, or nothing is found at all.
    """
    paths = [Path(path) for path in paths]
    found: dict[Path, str] = {}
    for path in paths:
        if not path.exists():
            raise CheckpointError(f'{path} does not exist.')
        if path.is_file() or weights_file(path) != path:
            found.setdefault(path, str(path))
            continue
        for one in _newest_first(path):
            found.setdefault(one, str(one.relative_to(path)))
    if not found:
        raise CheckpointError(
            f'{", ".join(map(str, paths))}: no checkpoint (.pth) and no published folder lies '
            'there: give one, or train one, python tools/train.py CONFIG.'
        )
    return [_describe(path, name) for path, name in found.items()]


def _is_here(folder: str, root: Path) -> bool:
    """Whether it is a link to what is found without it: a folder below ``root``, or around it."""
    there, here = os.path.realpath(folder) + os.sep, os.path.realpath(root) + os.sep
    return os.path.islink(folder) and (there.startswith(here) or here.startswith(there))


def _newest_first(root: Path) -> Iterator[Path]:
    runs: dict[Path, list[tuple[bool, float, Path]]] = {}
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not _is_here(os.path.join(folder, name), root)]
        for file in files:
            path = Path(folder, file)
            if (path.suffix == '.pth' or file == PUBLISHED) and path.is_file():
                one = path.parent if file == PUBLISHED else path
                entry = (file.startswith('best_'), path.stat().st_mtime, one)
                runs.setdefault(Path(folder), []).append(entry)
    for run in sorted(runs.values(), key=lambda run: max(e[1] for e in run), reverse=True):
        yield from (path for *_, path in sorted(run, reverse=True))


def _describe(path: Path, name: str) -> FoundModel:
    folder = path if path.is_dir() else path.parent
    config = max(configs_in(folder), key=lambda file: file.stat().st_mtime, default=None)
    told = config.stem if config and path.is_file() else None
    if path.is_dir():
        with suppress(CheckpointError):
            told = published_metadata(path / PUBLISHED).get('config')
    return FoundModel(path, name if not told or told in name else f'{name} ({told})', config)


def example_images(model: FoundModel, number: int) -> list[str]:
    """Paths of ``number`` images, or of fewer, from all over the model's test set.

    None where its config does not lie beside it, or its data are not on this machine.
    """
    images: list[str] = []
    with suppress(VitmmError, OSError):
        config = read_stored(model.config.read_text(encoding='utf-8')) if model.config else {}
        loader = config.get('test_dataloader') or config.get('val_dataloader') or {}
        for dataset in leaves(loader.get('dataset') or {}):
            scope = config.get('default_scope')
            source = read_source(dataset, scope)
            entries = read_entries(source, given_classes(dataset) or (), scope)
            images += [entry.image for entry in entries if entry.is_image]
    step = max(1, len(images) // number)
    return [path for path in images[::step][:number] if os.path.isfile(path)]
