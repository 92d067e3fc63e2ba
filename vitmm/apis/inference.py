"""Use a model: ``Predictor`` in Python, ``infer`` for files of results."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmengine.structures import BaseDataElement
from tqdm import tqdm

from vitmm.collector import set_aside, started
from vitmm.datasets.errors import DataError, UnreadableError
from vitmm.errors import ConfigError, did_you_mean
from vitmm.inference.inputs import count_items, find_media
from vitmm.inference.predictor import Predictor
from vitmm.writing import check_writable, writing

__all__ = ['Predictor', 'infer']

FORMATS = ('pictures', 'masks', 'coco', 'csv')
USUAL = {
    'cls': ('pictures', 'csv'),
    'det': ('pictures', 'coco'),
    'seg': ('pictures', 'masks'),
    'depth': ('pictures', 'masks'),
}

_RESULTS = {
    'cls': 'pred_score',
    'det': 'pred_instances',
    'seg': 'pred_sem_seg',
    'depth': 'pred_depth_map',
}


def infer(
    checkpoint: str | Path,
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    config: str | Path | None = None,
    batch_size: int = 8,
    score: float = 0.3,
    formats: Sequence[str] | None = None,
    ann: str | Path | None = None,
    device: str = 'auto',
    amp: bool = False,
    tta: bool = False,
    skip_bad: bool = False,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Predict images, folders, globs and videos, and write the results.

    Args:
        checkpoint: a ``.pth`` file, or a folder that ``tools/publish_model.py`` wrote.
        inputs: what to predict.
        out: the folder of the results; files of the same names are written over.
        config: a config file; by default the config in the checkpoint.
        batch_size: images that go through the model together.
        score: pictures, masks and the table show detections above it, 0 to 1; COCO's JSON has all.
        formats: of ``pictures``, ``masks`` (:class:`vitmm.inference.masks.MaskWriter`), ``coco``
            (:class:`vitmm.inference.coco.CocoWriter`), ``csv``
            (:class:`vitmm.inference.table.TableWriter`); by default what suits the task.
        ann: a COCO annotation file whose ids ``coco`` takes.
        device: ``'auto'``, ``'cpu'``, ``'cuda'``, …
        amp: mixed precision (bfloat16).
        tta: test-time augmentation, as the config's ``tta_model`` and ``tta_pipeline`` say.
        skip_bad: pass over what cannot be read, instead of ending there.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        What was done and where it lies, for people.

    Raises:
        VitmmError: whatever the user can mend, in one message. The results of all images before
            it are kept.
    """
    out = Path(out)
    _check(formats, ann, batch_size)
    media = find_media(inputs, leave_out=str(out))
    check_writable(out, '--out')
    predictor = Predictor(checkpoint, config, device=device, amp=amp, tta=tta, options=options)
    set_aside()  # the model, too: it is used to the end
    started()
    items = predictor.stream(media, skip_bad)
    found = predictor.predict(items, batch_size, skip_bad)
    count = 0
    try:
        total = count_items(media)
        with writing(('--out', out)), ExitStack() as stack, tqdm(total=total, unit='image') as bar:
            writers = _writers(formats or USUAL[predictor.task], out, predictor, score, ann)
            for writer in writers:
                stack.callback(writer.close)
            for item, sample in found:
                if not count:
                    _need_results(predictor, sample)
                for writer in writers:
                    writer.add(item, sample)
                count += 1
                bar.update()
    except UnreadableError as error:
        raise DataError(f'{error} --skip-bad passes over such files.') from error
    there = sorted(path for writer in writers for path in writer.places if path.exists())
    written = ', '.join(map(str, there)) if count else 'nothing was written'
    skipped = f', {len(predictor.skipped)} bad passed over' if predictor.skipped else ''
    return f'{count} image{"s" if count != 1 else ""} ({predictor.task}){skipped}: {written}'


def _need_results(predictor: Predictor, sample: BaseDataElement) -> None:
    """Raise where a head of somebody's own predicts something else than its task's results."""
    name = _RESULTS[predictor.task]
    if name not in sample:
        head = type(getattr(predictor.model, 'head', None) or predictor.model).__name__
        raise ConfigError(
            f'{head} predicts no {name}, which results of {predictor.task} are made of: '
            'vitmm.apis.inference.Predictor gives what it predicts, as it is.'
        )


def _check(formats: Sequence[str] | None, ann: str | Path | None, batch_size: int) -> None:
    if batch_size < 1:
        raise ConfigError(f'--batch-size is 1 or more, not {batch_size}.')
    for name in formats or ():
        if name not in FORMATS:
            raise ConfigError(
                f"--formats: there is no '{name}', but {', '.join(FORMATS)}."
                f'{did_you_mean(name, FORMATS)}'
            )
    if ann is not None and formats and 'coco' not in formats:
        raise ConfigError('--ann gives ids to COCO results: add coco to --formats.')


def _writers(
    formats: Sequence[str], out: Path, predictor: Predictor, score: float, ann: str | Path | None
) -> list[Any]:
    from vitmm.inference.coco import CocoWriter
    from vitmm.inference.masks import MaskWriter
    from vitmm.inference.pictures import PictureWriter
    from vitmm.inference.table import TableWriter

    makers = {
        'pictures': lambda: PictureWriter(out, predictor, score),
        'masks': lambda: MaskWriter(out, predictor, score),
        'coco': lambda: CocoWriter(out, predictor, ann and Path(ann)),
        'csv': lambda: TableWriter(out, predictor, score),
    }
    # In this order: those that may refuse come first, and nothing is begun in vain.
    return [make() for name, make in makers.items() if name in formats]
