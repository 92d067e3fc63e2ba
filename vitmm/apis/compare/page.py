"""The comparison as one HTML file that needs nothing else: no network, no server."""

import base64
import io
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined  # torch requires it
from markupsafe import Markup
from PIL import Image

from vitmm.apis.compare import charts, notes, table

_SIDE = 440  # pixels of a sample's longer side, at most
_COSTS = (('latency', 'latency, ms'), ('gflops', 'GFLOPs'), ('parameters', 'parameters, M'))


def make_page(found: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Render the page.

    Args:
        found: what ``compare.json`` holds; it is in the page as well, in ``#data``.
        texts: the resolved config of each backbone.

    Returns:
        HTML with its style, script, charts and pictures inside.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files('vitmm.apis.compare').joinpath('page.html').read_text(encoding='utf-8')
    summaries, higher, metric = found['summary'], found['higher_is_better'], found['metric']
    columns = table.columns(summaries, metric, higher)
    ranks = table.ranked(summaries, higher)
    seen = [one['backbone'] for one in ranks]
    colors = {name: i for i, name in enumerate(seen[: charts.COLORS])}
    return environment.from_string(source).render(
        found=found,
        title=Path(found['recipe']).stem,
        metric=(metric or 'metric').rpartition('/')[2],
        verdict=notes.verdict(found),
        notes=notes.notes(found),
        columns=columns,
        rows=[
            {
                'name': one['backbone'],
                'error': one['error'],
                'cells': [
                    {
                        'text': table.cell(one, column),
                        'value': one[column.key],
                        'best': one[column.key] is not None
                        and one[column.key] == _best(summaries, column),
                    }
                    for column in columns
                ],
            }
            for one in ranks
        ],
        plots=[
            plot
            for key, name in _COSTS
            if (plot := Markup(_plot(found, key, name)))  # of numbers and escaped names
        ],
        curves={
            k: Markup(v)
            for k, v in charts.learning_curves(found['rows'], metric, colors).items()
            if v
        },
        colors=colors,
        names=seen,
        classes=_classes(found),
        samples=_samples(found, seen),
        differences=found['differences'],
        texts={name: texts[name] for name in seen if name in texts},
        # Nothing in it may end the element that it is in.
        data=Markup(json.dumps(found).replace('<', '\\u003c')),
    )


def _best(summaries: list, column: table.Column) -> float | None:
    values = [one[column.key] for one in summaries if one[column.key] is not None]
    if column.higher_is_better is None or len(values) < 2:
        return None
    return max(values) if column.higher_is_better else min(values)


def _plot(found: Mapping[str, Any], key: str, name: str) -> str:
    points = [
        (one['backbone'], one[key], one['score'])
        for one in found['summary']
        if one['score'] is not None and one[key] is not None
    ]
    metric = (found['metric'] or '').rpartition('/')[2]
    return charts.scatter(points, name, metric, found['higher_is_better'])


def _classes(found: Mapping[str, Any]) -> list[dict]:
    """Rows of the table by class: name, value of each backbone, the best of several."""
    rows = []
    for name, values in found['per_class']['values'].items():
        known = [value for value in values.values() if value is not None]
        best = max(known) if len(known) > 1 else None
        rows.append({'name': name, 'values': values, 'best': best})
    return rows


def _samples(found: Mapping[str, Any], names: list[str]) -> list[dict]:
    """The same image by each backbone's first run: ``{'name': …, 'images': {backbone: URI}}``."""
    rows = {row['backbone']: row for row in found['rows']}
    shown: dict[str, dict[str, str]] = {}
    for name in names:
        run = next((run for run in rows[name]['runs'] if run.get('shown')), None)
        for file in run['shown'] if run else ():
            path = Path(run['folder'], 'shown', file)
            if path.is_file():
                shown.setdefault(_image_name(file), {})[name] = _data_uri(path)
    return [{'name': name, 'images': images} for name, images in shown.items()]


def _image_name(file: str) -> str:
    """What mmseg's and mmpretrain's hooks made of an image's name, undone."""
    return re.sub(r'^test_|(?<=.)_\d+\.png$', '', Path(file).name)


def _data_uri(path: Path) -> str:
    with Image.open(path) as image:
        image = image.convert('RGB')
        image.thumbnail((2 * _SIDE, _SIDE))  # truth and prediction are side by side
        stream = io.BytesIO()
        image.save(stream, 'JPEG', quality=85)
    return f'data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}'
