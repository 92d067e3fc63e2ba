"""An analysis as files: pictures, tables, a page that shows them."""

import io
import json
import re
from collections.abc import Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from mmengine.visualization import TensorboardVisBackend
from tqdm import tqdm

from vitmm.apis.contact_sheet import contact_sheet
from vitmm.apis.predictions.charts import draw_confusion
from vitmm.apis.predictions.drawing import fit
from vitmm.apis.predictions.layout import compose
from vitmm.apis.predictions.page import make_page
from vitmm.apis.predictions.task import Analysis, Table, Task, to_csv
from vitmm.apis.windows import show_picture
from vitmm.inference.drawing import read_picture
from vitmm.inference.files import write_image
from vitmm.inference.inputs import Item, Media
from vitmm.whole_files import write_whole


def write_analysis(
    analysis: Analysis,
    task: Task,
    out: Path,
    number: int,
    channels: int,
    *,
    tensorboard: str | Path | None = None,
    show: bool = False,
) -> str:
    """Write everything into ``out``; what an earlier analysis left there is replaced.

    Args:
        analysis: of ``task``.
        task: draws the worst images.
        out: the folder.
        number: of images to draw.
        channels: of the images' files.
        tensorboard: a folder for an event file with the pictures.
        show: open a window for each image.

    Returns:
        What it says, in a few lines.
    """
    _clear(out)
    figures = dict(analysis.figures)
    if analysis.confusion is not None:
        figures = {'confusion': ('Confusion matrix', draw_confusion(analysis.confusion)), **figures}
        _write_confusion(analysis, out)
    backend = TensorboardVisBackend(str(tensorboard)) if tensorboard else None
    with closing(backend) if backend else nullcontext():
        for name, (_, figure) in figures.items():
            content = _png(figure)
            write_whole(out / f'{name}.png', content)
            if backend:
                picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
                backend.add_image(name, picture[..., ::-1])
        worst = []
        pictures = []
        chosen = [one for one in analysis.ranked[:number] if one['value'] is not None]
        for place, record in enumerate(tqdm(chosen, desc='drawing', unit='image'), 1):
            picture = _draw(task, analysis.short, record, place, channels)
            name = re.sub(r'[^\w.-]+', '_', Path(record['path']).stem)[:80]
            file = f'worst/{place:03d}_{record["value"]:.4f}_{name}.jpg'
            write_image(out / file, picture)
            pictures.append(picture)
            worst.append({'file': file, **_row(place, record), 'words': record['words']})
            if backend:
                backend.add_image('worst', picture, step=place)
            if show:
                show_picture(picture, Path(file).stem)
    if pictures:
        write_image(out / 'worst.jpg', contact_sheet(pictures, 480))
    rows = [_row(place, record) for place, record in enumerate(analysis.ranked, 1)]
    head = list(rows[0])
    write_whole(out / 'worst.csv', to_csv(head, [list(row.values()) for row in rows]))
    for table in analysis.tables:
        if table.name:
            write_whole(out / f'{table.name}.csv', table.csv())
    content = {**analysis.content, 'measure': analysis.measure, 'notes': analysis.notes}
    if analysis.confusion is not None:
        content['confusions'] = analysis.confusion.top()
    content['worst'] = worst
    write_whole(out / 'analysis.json', json.dumps(content, indent=1) + '\n')
    titles = {f'{name}.png': title for name, (title, _) in figures.items()}
    write_whole(out / 'report.html', make_page(analysis, titles, worst))
    places = [str(out / 'report.html'), *([str(tensorboard)] if tensorboard else [])]
    return _in_words(analysis, worst, places)


def _draw(
    task: Task, short: str, record: Mapping[str, Any], place: int, channels: int
) -> np.ndarray:
    path = record['path']
    picture, factor = fit(read_picture(Item(Media(path, path, path)), channels))
    panels, legend = task.draw(picture, record, factor)
    heading = f'{place}. {Path(path).name}: {short} {record["value"]:.3f}'
    return compose(heading, record['words'], panels, legend)


def _row(place: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """What ``worst.csv`` says of an image."""
    value = record['value']
    shown = None if value is None else round(value, 6)
    row = {
        name: round(float(one), 6) if isinstance(one, float) else one
        for name, one in record['row'].items()
    }
    return {'rank': place, 'image': record['path'], 'measure': shown, **row}


def _write_confusion(analysis: Analysis, out: Path) -> None:
    confusion = analysis.confusion
    text = json.dumps(confusion.content()) + '\n'
    write_whole(out / 'confusion.json', text)
    head = ['truth \\ predicted', *confusion.names]
    write_whole(out / 'confusion.csv', to_csv(head, confusion.rows()))
    told = confusion.by_class()
    note = ''
    if confusion.background:
        note = (
            'Missed are objects that no detection found, false are detections without an object of '
            'their own: the column and the row background of the matrix.'
        )
    rows = [tuple(one.values()) for one in told]
    table = Table('By class', 'classes', list(told[0]), rows, note)
    top = [tuple(one.values()) for one in confusion.top()]
    head = ['truth', 'predicted', confusion.unit, 'share of the truth']
    analysis.tables[:0] = [Table('Most frequent confusions', None, head, top), table]


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format='png', dpi=110, bbox_inches='tight', pad_inches=0.1)
    return stream.getvalue()


def _clear(out: Path) -> None:
    """Take away pictures of an earlier analysis, so that what is there belongs together."""
    for file in out.glob('worst/[0-9][0-9][0-9]_*.jpg'):
        file.unlink()
    for name in ('worst.jpg', 'confusion.*', 'errors_*.*', 'classes.csv', 'detections.csv'):
        for file in out.glob(name):
            file.unlink()


def _in_words(analysis: Analysis, worst: list[dict[str, Any]], places: list[str]) -> str:
    content = analysis.content
    lines = [f'{content["images"]} images ({content["split"]})']
    lines += [f'  {name:<24} {value:.4f}' for name, value in content['metrics'].items()]
    lines.append(f'Worst by {analysis.measure}:')
    lines += [
        f'  {one["measure"]:.4f}  {Path(one["image"]).name}: {one["words"]}' for one in worst[:5]
    ]
    if analysis.confusion is not None and (top := analysis.confusion.top(5)):
        lines.append(f'Most frequent confusions ({analysis.confusion.unit}):')
        lines += [
            f'  {one["count"]:>8}  {one["truth"]} taken for {one["predicted"]} ({one["share"]:.1%})'
            for one in top
        ]
    lines += analysis.notes
    return '\n'.join([*lines, ', '.join(places)])
