"""Finding a model's tensors in a checkpoint: in which container, wrapper and layout they lie."""

import inspect
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass

from timm.models import model_entrypoint
from torch import Tensor, nn

from vitmm.models.backbones.layouts import LAYOUTS
from vitmm.models.backbones.relayout import Own, State, complete
from vitmm.models.backbones.resample import solid

# Where training codes put the weights, the better ones first.
_CONTAINERS = ('state_dict_ema', 'model_ema', 'state_dict', 'model_state_dict', 'model', 'teacher',
               'module', 'target_encoder', 'encoder', 'student')  # fmt: skip
# Names that wrappers put before a model's own: a guess for files without any name of timm's.
_WRAPPERS = r'(?:(?:module|model|backbone|encoder|student|teacher|trunk)\.)+'
# Of two copies, the average of the weights is the better one.
_AVERAGED = re.compile(r'teacher|ema')


@dataclass(frozen=True)
class Reading:
    """A file's tensors as one layout explains them.

    Attributes:
        layout: its name.
        prefix: the wrapper's, which was stripped.
        raw: the tensors under that prefix, by the file's names.
        state: by timm's names; those of the file where timm has none.
        file: all tensors of the file, by its names.
    """

    layout: str
    prefix: str
    raw: State
    state: State
    file: State


def read(checkpoint: Mapping, model_name: str, own: Own, twin: nn.Module) -> Reading:
    """Explain a checkpoint as weights of a model: the reading that finds most of its tensors.

    Args:
        checkpoint: what the file holds.
        model_name: of ``timm.list_models()``.
        own: the model's tensors by timm's names.
        twin: the model unpruned, on any device, for timm's filters.
    """
    state = _unwrap(checkpoint)

    def likeness(reading: Reading) -> tuple[int, int]:
        named = own.keys() & reading.state.keys()
        return sum(solid(own[k].shape) == solid(reading.state[k].shape) for k in named), len(named)

    return max(_readings(state, model_name, own, twin), key=likeness)


def _readings(state: State, model_name: str, own: Own, twin: nn.Module) -> Iterator[Reading]:
    """Likely ones first."""

    def through_timm(layout: str, prefix: str, raw: State, renamed: State) -> Reading:
        filtered = _filter(renamed, model_name, twin)
        if filtered.keys() - renamed.keys():
            layout = 'converted by timm'
        return Reading(layout, prefix, raw, complete(filtered, own), state)

    for prefix in _prefixes(state, own):
        raw = _under(prefix, state)
        yield through_timm('timm', prefix, raw, raw)
    for layout in LAYOUTS:
        for prefix in sorted(layout.prefixes(state), key=_rank):
            raw = _under(prefix, state)
            renamed = layout.rename(raw, own)
            if layout.filtered:
                yield through_timm(layout.name, prefix, raw, renamed)
            else:
                yield Reading(layout.name, prefix, raw, complete(renamed, own), state)


def _unwrap(checkpoint: Mapping) -> State:
    for key in _CONTAINERS:
        if isinstance(checkpoint.get(key), Mapping):
            return _unwrap(checkpoint[key])
    return {key: value for key, value in checkpoint.items() if isinstance(value, Tensor)}


def _under(prefix: str, state: State) -> State:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _rank(prefix: str) -> tuple[bool, int]:
    return not _AVERAGED.search(prefix), len(prefix)


def _prefixes(state: State, own: Own) -> list[str]:
    """That under which most of the model's own names lie, none, and what looks like wrappers."""
    votes: Counter[str] = Counter()
    wrappers: Counter[str] = Counter()
    for key in state:
        parts = key.split('.')
        ends = ('.'.join(parts[i:]) for i in range(1, len(parts)))
        votes.update(key.removesuffix(end) for end in ends if end in own)
        if match := re.match(_WRAPPERS, key):
            wrappers[match[0]] += 1
    named = sorted(votes, key=lambda prefix: (-votes[prefix], *_rank(prefix)))[:1]
    guessed = sorted(wrappers, key=lambda prefix: (-wrappers[prefix], *_rank(prefix)))[:1]
    return list(dict.fromkeys([*named, '', *guessed]))


def _filter(state: State, model_name: str, twin: nn.Module) -> State:
    """Put tensors through what timm puts downloaded weights of this architecture through."""
    module = sys.modules[model_entrypoint(model_name.partition('.')[0]).__module__]
    names = ('checkpoint_filter_fn', '_filter_fn', '_filter_torchvision_pretrained')
    function = next((getattr(module, n) for n in names if hasattr(module, n)), None)
    if function is None:
        return state
    models = (twin,) if len(inspect.signature(function).parameters) > 1 else ()
    try:
        with redirect_stdout(io.StringIO()):  # some print what they tried
            found = function(dict(state), *models)
    except Exception:  # many authors, who expect the right keys and shapes
        return state
    # Some fill gaps from the model, which has no values here.
    return {k: v for k, v in found.items() if isinstance(v, Tensor) and not v.is_meta}
