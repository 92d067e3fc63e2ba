"""What a timm model makes of an image: its twin is asked, no table of names has to know."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vitmm.errors import BackboneError
from vitmm.models.backbones.canvas import Canvas
from vitmm.models.backbones.twin import Size, Twin, ask_once
from vitmm.models.cells import cells


@dataclass(frozen=True)
class Measured:
    """What the maps of a model are; one entry per map that timm describes.

    Attributes:
        channels: of each map.
        strides: of each map, in pixels.
        canvas: the sizes that the model takes.
        output_fmt: ``'NLC'`` if timm would read the grid of the tokens from a tensor's values,
            which halts a GPU: then the tokens are better asked for.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    canvas: Canvas
    output_fmt: str = 'NCHW'


def measure_maps(model_name: str, **settings) -> Measured:
    """Ask a model for its feature maps at several sizes.

    Args:
        model_name: a name of ``timm.list_models()``.
        settings: what ``timm.create_model`` takes.

    Raises:
        BackboneError: no such model, or it gives no maps at its native size.
    """
    return ask_once('maps', _measure_maps, model_name, settings)


def measure_pooled(model_name: str, **settings) -> tuple[int, Canvas]:
    """Ask a model for its pooled features: how many channels, at which sizes.

    With ``num_classes`` among the settings these are the outputs of its own classifier.

    Raises:
        BackboneError: no such model, or its pooled features are no vector.
    """
    return ask_once('pooled', _measure_pooled, model_name, settings)


def takes_norm(model_name: str, **settings) -> bool:
    """Ask a model whether it can put its final norm on its maps; some refuse to be asked."""

    def ask(twin: Twin) -> bool:
        try:
            with torch.no_grad():
                twin.run(twin.native, norm=True)
        except Exception:  # each model fails in its own way
            return False
        return True

    return ask_once('norm', ask, model_name, settings)


def unused_parameters(
    model_name: str, indices: Sequence[int] | None, norm: bool = False, **settings
) -> frozenset[str]:
    """Ask which parameters get no gradient from the maps ``indices`` of the pruned model.

    timm drops the blocks behind the last map; what is left over (a class token that only the
    classifier reads) would break distributed training. ``indices=None`` asks about the pooled
    features, or the classifier's outputs.
    """

    def ask(twin: Twin) -> frozenset[str]:
        if indices is None:
            twin.pool(twin.native).sum().backward()
            return frozenset(n for n, p in twin.model.named_parameters() if p.grad is None)
        kept = twin.model.prune_intermediate_layers(
            list(indices), prune_norm=not norm, prune_head=True
        )
        sum(m.sum() for m in twin.run(twin.native, indices=kept, norm=norm)).backward()
        return frozenset(n for n, p in twin.model.named_parameters() if p.grad is None)

    return ask_once(f'unused {indices} {norm}', ask, model_name, settings, changed=True)


def _measure_maps(twin: Twin) -> Measured:
    native = twin.native
    try:
        shapes, at_home = _with_lookups(twin.maps, native)
    except Exception as error:  # each model fails in its own way
        raise BackboneError(
            f"'{twin.name}' gives no feature maps at its own size {native[0]} x {native[1]}: "
            f'{type(error).__name__}: {error}'
        ) from error
    reductions = [info['reduction'] for info in twin.model.feature_info]
    strides = [
        # Resized and unpadded models are a little off their stride; a stride that is twice off is
        # a description that is wrong.
        said if 0.75 < h * said / native[0] < 1.25 else round(native[0] / h)
        for said, (_, h, _) in zip(reductions, shapes, strict=True)
    ]
    lost = [_lost(shape, native, s) for shape, s in zip(shapes, strides, strict=True)]

    def fits(size: Size) -> bool:
        """Whether the maps at ``size`` lose no more cells at their borders than at home."""
        try:
            found, lookups = _with_lookups(twin.maps, size)
        except Exception:  # see above
            return False
        return lookups <= at_home and all(
            min(0, home) <= side <= max(0, home)
            for shape, stride, homes in zip(found, strides, lost, strict=True)
            for side, home in zip(_lost(shape, size, stride), homes, strict=True)
        )

    channels = tuple(c for c, _, _ in shapes)
    canvas = _find_canvas(native, math.lcm(*strides), fits)
    return Measured(channels, tuple(strides), canvas, twin.output)


def _with_lookups(ask: Callable[[Size], Any], size: Size) -> tuple[Any, set[tuple]]:
    """What a twin answers for an image size, and in which shapes it looks up its tables meanwhile.

    Whether a place is outside its table (of relative positions) cannot be seen without values:
    where other places are looked up than at the native size, as MViTv2 does, they may be.
    """
    lookups: set[tuple] = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function is torch.ops.aten.index.Tensor and isinstance(args[0], nn.Parameter):
                places = tuple(getattr(i, 'shape', None) for i in args[1])
                lookups.add((args[0].shape, places))
            return function(*args, **(kwargs or {}))

    with Watch():
        return ask(size), lookups


def _lost(shape: Sequence[int], size: Size, stride: int) -> Size:
    """How many rows and columns a map (C, h, w) is short of covering ``size``."""
    height, width = (cells(side, stride) - have for side, have in zip(size, shape[1:], strict=True))
    return height, width


def _measure_pooled(twin: Twin) -> tuple[int, Canvas]:
    native = twin.native
    shape, at_home = _with_lookups(twin.pooled, native)
    if len(shape) != 2:
        raise BackboneError(f"'{twin.name}' pools to {shape[1:]}, which is no vector.")

    def fits(size: Size) -> bool:
        try:
            found, lookups = _with_lookups(twin.pooled, size)
        except Exception:  # each model fails in its own way
            return False
        return found == shape and lookups <= at_home

    reductions = [info['reduction'] for info in twin.model.feature_info]
    return shape[1], _find_canvas(native, math.lcm(*reductions), fits)


def _find_canvas(native: Size, cell: int, fits: Callable[[Size], bool]) -> Canvas:
    """The freest way to lay images out that ``fits`` accepts."""
    height, width = native
    whole = tuple(cells(side, cell) * cell for side in native)
    ways = [
        ((1, 1), [(height + 13 * cell // 32 + 1, width + cell - 1)]),
        ((cell, cell), [(whole[0] + cell, whole[1] + 3 * cell)]),
        (native, [(height, 2 * width), (2 * height, 3 * width)]),
    ]
    multiple = next((m for m, sizes in ways if all(map(fits, sizes))), None)
    if multiple is None:
        return Canvas(native, native, native, tiled=True)
    if multiple == native:
        return Canvas(native, native, native)
    # The smallest image that it takes.
    side = cell
    while side < min(native) and not fits((side, side)):
        side += cell
    least = (side, side) if side < min(native) else native
    return Canvas(native, multiple, least)
