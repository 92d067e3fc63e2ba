"""What the network really gets, in pictures."""

from collections.abc import Mapping
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.structures import BaseDataElement
from mmengine.visualization import TensorboardVisBackend
from tqdm import tqdm

from vitmm.apis.contact_sheet import contact_sheet
from vitmm.apis.launch import prepare
from vitmm.apis.network_inputs import NetworkInputs
from vitmm.apis.truth import TruthDrawing
from vitmm.apis.windows import check_display, show_picture
from vitmm.datasets.sources import leaves
from vitmm.errors import ConfigError, VitmmError, did_you_mean
from vitmm.inference.files import write_image

SPLITS = ('train', 'val', 'test')


def browse_dataset(
    config: str | Path,
    *,
    split: str = 'train',
    number: int = 16,
    out: str | Path | None = None,
    seed: int = 0,
    tensorboard: str | Path | None = None,
    show: bool = False,
    data: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Draw images of a recipe's data as they enter the network, with what it shall learn.

    They have been augmented, and resized, padded and mixed by the model's data preprocessor; mean
    and std are taken back. Pictures whose shorter side is below 224 pixels are enlarged by a whole
    number. Of masked pretraining the left-out patches are shown beside.

    Args:
        config: a config file.
        split: ``'train'``, ``'val'`` or ``'test'``.
        number: of images, 1 or more; batches are no larger.
        out: the folder of ``000_<name>.png``, … and ``sheet.jpg``, all on one picture;
            ``work_dirs/<config name>/browse_<split>`` by default.
        seed: of augmentations and order.
        tensorboard: a folder for an event file with the pictures.
        show: open a window for each picture.
        data: name or path of another data set for the recipe.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        A line for each picture: its file, its size before and after, what is on it.

    Raises:
        VitmmError: whatever the user can mend, in one message.
    """
    _check(split, number, out, show)
    cfg = prepare(config, data=data, options=options, loaders=[f'{split}_dataloader'])
    inputs = NetworkInputs(cfg, split, number, seed)
    out = Path(out or Path(cfg.work_dir) / f'browse_{split}')
    loader = cfg[f'{split}_dataloader']
    draw = TruthDrawing(cfg, inputs.dataset.metainfo, _resized_first(loader.dataset))
    lines, pictures = [], []
    backend = TensorboardVisBackend(str(tensorboard)) if tensorboard else None
    try:
        with closing(backend) if backend else nullcontext():
            images = islice(inputs, number)
            for place, (image, sample) in enumerate(tqdm(images, total=number, unit='image')):
                picture, words = draw(inputs.picture(image), sample)
                pictures.append(picture)
                source = (sample.get('img_path') if sample is not None else None) or 'image'
                file = out / f'{place:03d}_{Path(source).stem}.png'
                write_image(file, picture)
                lines.append(f'{file.name}: {source}  {_sizes(image.shape[1:], sample)}  {words}')
                if backend:
                    backend.add_image(split, picture, step=place)
                if show:
                    show_picture(picture, file.stem)
        if not pictures:
            raise ConfigError(f'the {split} split of {config} gives no image.')
        write_image(out / 'sheet.jpg', contact_sheet(pictures))
    except OSError as error:
        raise VitmmError(f'{out} cannot be written: {error}.') from error
    places = [str(out / 'sheet.jpg'), *([str(tensorboard)] if tensorboard else [])]
    return '\n'.join([*lines, f'{len(lines)} images ({split}): {", ".join(places)}'])


def _check(split: str, number: int, out: str | Path | None, show: bool) -> None:
    if split not in SPLITS:
        raise ConfigError(
            f"there is no split '{split}', but {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}"
        )
    if number < 1:
        raise ConfigError(f'--number is 1 or more, not {number}.')
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise ConfigError(f'--out {out} is a file; name a folder.')
    if show:
        check_display()


def _resized_first(dataset: Mapping[str, Any]) -> bool:
    """Whether a pipeline loads annotations behind the resizing, and so in the file's pixels."""
    steps = [str(step) for step in leaves(dataset)[0].get('pipeline') or ()]
    loads = next((n for n, step in enumerate(steps) if 'LoadAnnotations' in step), 0)
    return any('Resize' in step for step in steps[:loads])


def _sizes(network: tuple[int, int], sample: BaseDataElement | None) -> str:
    """Width x height of the file, behind the pipeline, and in the network."""
    told = [sample.get(key) for key in ('ori_shape', 'img_shape')] if sample is not None else []
    shown = [tuple(size[:2]) for size in told if size is not None]
    words = ' -> '.join(f'{width} x {height}' for height, width in shown)
    if shown and shown[-1] == tuple(network):
        return words
    return f'{words}{", padded to " if words else ""}{network[1]} x {network[0]}'
