"""An analysis as a page beside its pictures."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined  # torch requires it

from vitmm.apis.predictions.task import Analysis


def make_page(analysis: Analysis, figures: Mapping[str, str], worst: list[dict[str, Any]]) -> str:
    """Render the page; it needs no network, and the pictures that lie beside it.

    Args:
        analysis: tables, notes, and in ``content`` what was tested.
        figures: titles by file.
        worst: of each drawn image ``file``, ``image``, ``measure`` and ``words``.

    Returns:
        HTML.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters['cell'] = _cell
    source = files('vitmm.apis.predictions').joinpath('page.html').read_text(encoding='utf-8')
    return environment.from_string(source).render(
        analysis=analysis, content=analysis.content, figures=figures, worst=worst
    )


def _cell(value: Any) -> str:
    if value is None:
        return ''
    return (
        f'{value:.3f}'
        if isinstance(value, float)
        else f'{value:,}'
        if isinstance(value, int)
        else str(value)
    )
