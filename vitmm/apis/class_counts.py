"""How many classes each part of a model tells apart, by its config."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vitmm.apis.bare_model import walk
from vitmm.config.places import Key

# That count something else: is there an object or not; kinds of ground; what a stock backbone was
# trained on; persons to tell apart.
_OTHERS = {'rpn_head', 'semantic_head', 'backbone', 'reid'}

_OF_WORDS = {'language_model', 'text_encoder'}  # that have as many places as there are words


def class_counts(
    model: Mapping[str, Any],
) -> Iterator[tuple[Key, Mapping[str, Any], int | None]]:
    """The parts of a model's config, with their keys and how many classes of the data each has."""
    if _OF_WORDS & set(model):
        return
    for key, part in walk(model, ('model',)):
        if _OTHERS & set(key) and part.get('type') != 'vitmm.TimmBackbone':
            continue
        yield key, part, None if _counts_otherwise(part) else _number(part)


def named_classes(classes: Sequence[str], model: Mapping[str, Any]) -> list[str]:
    """Names of all classes that a model may predict: ``'class 7'`` where the data has fewer."""
    number = max((number or 0 for _, _, number in class_counts(model)), default=0)
    return [*classes, *(f'class {label}' for label in range(len(classes), number))]


def _counts_otherwise(part: Mapping[str, Any]) -> bool:
    return (
        'contrastive_cfg' in part  # compares with words
        or bool(part.get('class_agnostic'))  # one mask, whatever the class
        or part.get('out_channels') == 1  # there or not; or metres
        or 'boundary_threshold' in part  # edge or not
    )


def _number(part: Mapping[str, Any]) -> int | None:
    if isinstance(part.get('num_classes'), int):
        return part['num_classes']
    parts = [part.get('num_things_classes'), part.get('num_stuff_classes')]
    return sum(parts) if all(isinstance(one, int) for one in parts) else None
