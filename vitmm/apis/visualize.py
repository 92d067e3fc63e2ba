"""See the model: feature maps, attention, Grad-CAM and principal components of images."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.visualization import TensorboardVisBackend
from tqdm import tqdm

from vitmm.apis.windows import check_display, show_picture
from vitmm.datasets.errors import DataError
from vitmm.errors import BackboneError, ConfigError, VitmmError, did_you_mean
from vitmm.inference.files import write_image
from vitmm.inference.inputs import Item, Media, count_items, find_media
from vitmm.inference.predictor import Predictor
from vitmm.visualization.boards import Boards
from vitmm.visualization.looking import Looker
from vitmm.visualization.opening import open_model
from vitmm.visualization.pca import Components

WHAT = ('features', 'attention', 'gradcam', 'pca')


def visualize(
    model: str | Path,
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    what: Sequence[str] | None = None,
    config: str | Path | None = None,
    weights: str | None = None,
    size: int | None = None,
    classes: Sequence[str] | None = None,
    score: float = 0.3,
    block: int | None = None,
    rollout: bool = False,
    pca_level: int = -1,
    foreground: bool = False,
    neck: bool = False,
    channels: int = 4,
    side: int = 256,
    alpha: float = 0.5,
    tensorboard: str | Path | None = None,
    show_windows: bool = False,
    device: str = 'auto',
    amp: bool = False,
    skip_bad: bool = False,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Draw what a model makes of images: one picture a kind and image, and a sheet of all.

    Pictures show what the network sees: behind resizing and cropping, without padding.

    Args:
        model: a checkpoint, a published folder, a config, or a name of ``timm.list_models()``.
        inputs: images, folders, globs and videos.
        out: the folder of ``<kind>/<image>.jpg`` and ``sheet/<image>.jpg``; files of the same
            names are written over.
        what: of ``features``, ``attention``, ``gradcam``, ``pca``; by default all that the model
            has.
        config: a config file; by default the config in the checkpoint.
        weights: of a timm name: a file or ``'none'``; by default timm's own, from its hub.
        size: pixels of the shorter side of images for a timm name.
        classes: names of those to score for Grad-CAM (:func:`vitmm.visualization.scores.score`);
            by default those that are found in each image.
        score: detections above it are scored, 0 to 1.
        block: whose attention, of those that attend, from 0; negative from the last; by default the
            last whose attention can be laid onto the image.
        rollout: attention through all blocks (:func:`vitmm.visualization.attention.rollout`).
        pca_level: the map whose vectors are analysed; negative from the last.
        foreground: let the first component choose the foreground, which is coloured alone.
        neck: features of the neck too.
        channels: how many channels of each map are shown beside its norm, 0 or more.
        side: pixels of the longer side of each picture.
        alpha: of the colours over the image, 0 to 1.
        tensorboard: a folder for an event file with the pictures.
        show_windows: open a window for each sheet.
        device: ``'auto'``, ``'cpu'``, ``'cuda'``, …
        amp: mixed precision (bfloat16).
        skip_bad: pass over what cannot be read, instead of ending there.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        What was done and where it lies, for people.

    Raises:
        VitmmError: whatever the user can mend, in one message. The pictures of all images before
            it are kept.
    """
    out = Path(out)
    _check(what, out, score, channels, side, alpha, show_windows)
    media = find_media(inputs, leave_out=str(out))
    predictor, no_scores = open_model(
        model,
        config=config,
        weights=weights,
        size=size,
        device=device,
        amp=amp,
        options=options,
    )
    if no_scores and (classes or 'gradcam' in (what or ())):
        raise ConfigError(
            f'gradcam: {no_scores}. Leave out --classes, and gradcam in --what; without --what '
            'all that there is is drawn.'
        )
    labels = _labels(classes, predictor.classes)
    looker = Looker(predictor, labels, score, block, rollout)
    stream = _Stream(predictor, media, skip_bad)
    kinds = _kinds(what, no_scores, looker, stream)
    components = masked = None
    if 'pca' in kinds:
        components = _analyse(looker, stream, pca_level)
        masked = _analyse(looker, stream, pca_level, components) if foreground else None
    boards = Boards(predictor.classes, side, alpha, channels, neck)
    backend = TensorboardVisBackend(str(tensorboard)) if tensorboard else None
    count = 0
    try:
        with closing(backend) if backend else nullcontext():
            for item, data in stream(''):
                seen = looker.look(data, 'attention' in kinds, 'gradcam' in kinds)
                name = _name(item)
                title = f'{name}, {looker.name}'
                for kind, picture in boards.draw(seen, title, kinds, components, masked).items():
                    write_image(out / kind / f'{name}.jpg', picture)
                    if backend:
                        backend.add_image(kind, picture, step=count)
                    if show_windows and kind == 'sheet':
                        show_picture(picture, name)
                del seen  # its graph, before the next image has one
                count += 1
    except OSError as error:
        raise VitmmError(f'--out {out} cannot be written: {error}.') from error
    if not count:
        raise DataError('none of the images could be read.')
    skipped = f', {len(predictor.skipped)} bad passed over' if predictor.skipped else ''
    places = [str(out / 'sheet'), *([str(tensorboard)] if tensorboard else [])]
    shown = f'{count} image{"s" if count != 1 else ""} ({", ".join(kinds)})'
    return f'{shown}{skipped}: {", ".join(places)}'


class _Stream:
    """The prepared images, from the beginning at each call."""

    def __init__(self, predictor: Predictor, media: Sequence[Media], skip_bad: bool) -> None:
        self.predictor, self.media, self.skip_bad = predictor, media, skip_bad

    def __call__(self, words: str | None) -> Iterable[tuple[Item, dict[str, Any]]]:
        """With a bar that is called ``words``; None for no bar."""
        items = self.predictor.stream(self.media, self.skip_bad)
        found = self.predictor.prepare(items, self.skip_bad)
        if words is None:
            return found
        return tqdm(found, desc=words or None, total=count_items(self.media), unit='image')


def _check(
    what: Sequence[str] | None,
    out: Path,
    score: float,
    channels: int,
    side: int,
    alpha: float,
    show_windows: bool,
) -> None:
    for name in what or ():
        if name not in WHAT:
            raise ConfigError(
                f"--what: there is no '{name}', but {', '.join(WHAT)}.{did_you_mean(name, WHAT)}"
            )
    if out.exists() and not out.is_dir():
        raise ConfigError(f'--out {out} is a file; name a folder.')
    if channels < 0 or side < 32 or not 0 <= alpha <= 1 or not 0 <= score <= 1:
        raise ConfigError(
            '--channels is 0 or more, --side 32 or more, --alpha and --score 0 to 1, not '
            f'{channels}, {side}, {alpha} and {score}.'
        )
    if show_windows:
        check_display()


def _labels(names: Sequence[str] | None, known: Sequence[str] | None) -> list[int] | None:
    if not names:
        return None
    labels = []
    for name in names:
        if known and name in known:
            labels.append(list(known).index(name))
        elif not known and name.isdecimal():
            labels.append(int(name))
        else:
            few = ', '.join((known or ())[:20]) + (', …' if known and len(known) > 20 else '')
            raise ConfigError(
                f"--classes: the model has no class '{name}'"
                + (f', but {few}.{did_you_mean(name, known)}' if known else '; give numbers.')
            )
    return labels


def _kinds(
    what: Sequence[str] | None, no_scores: str, looker: Looker, stream: _Stream
) -> list[str]:
    """What is drawn: what was asked for, or all that the model has."""
    if what:
        return [kind for kind in WHAT if kind in what]
    left_out = {'gradcam': no_scores} if no_scores else {}
    asked = looker.block is not None or looker.rolled
    _, data = next(iter(stream(None)), (None, None))
    if data is None:
        raise DataError('none of the images could be read.')
    try:
        looker.look(data, attention=True)
    except BackboneError as error:
        if asked:
            raise
        left_out['attention'] = str(error).partition(':')[0]
    try:
        if 'gradcam' not in left_out:
            looker.look(data, scored=True)
    except ConfigError as error:  # a head of somebody's own
        if looker.labels:
            raise
        left_out['gradcam'] = str(error).removeprefix('gradcam: ').rstrip('.')
    for kind, reason in left_out.items():
        print_log(f'{kind} is left out: {reason}.', logger='current')
    return [kind for kind in WHAT if kind not in left_out]


def _analyse(
    looker: Looker, stream: _Stream, level: int, of: Components | None = None
) -> Components:
    """The principal components of all images, or of the foreground that ``of`` finds."""
    found = Components(level)
    for _, data in stream('PCA' if of is None else 'PCA of the foreground'):
        maps = looker.maps(data)
        if not -len(maps) <= level < len(maps):
            raise ConfigError(
                f'--pca-level {level}: {looker.name} gives {len(maps)} maps, 0 to '
                f'{len(maps) - 1}, or -{len(maps)} to -1.'
            )
        found.add(maps[level], None if of is None else of.foreground(maps[level]))
    found.fit()
    return found


def _name(item: Item) -> str:
    return item.media.stem if item.frame is None else f'{item.media.stem}_{item.frame:06d}'
