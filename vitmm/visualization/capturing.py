"""The maps of one image on their way from the backbone to the score."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from vitmm.models.backbones.taps import choose_taps
from vitmm.models.backbones.timm_backbone import TimmBackbone
from vitmm.visualization.placing import Layout, Placing, pitch_of

_STRIDES = (4, 8, 16, 32)  # of which a map each is shown, where a backbone gives no maps itself


@dataclass
class Level:
    """One map of one image.

    Attributes:
        name: for people.
        tensor: as the model hands it on, so that gradients of what follows pass through it.
        to_map: of ``tensor``, or of a gradient of its shape: (1, C, h, w).
        pitch: pixels (down, across) of the network's input from one cell to the next.
        before: the same of the block that made it, where ``tensor`` is that of a block.
    """

    name: str
    tensor: torch.Tensor
    to_map: Callable[[torch.Tensor], torch.Tensor]
    pitch: tuple[float, float]
    before: 'Level | None' = None

    @property
    def values(self) -> torch.Tensor:
        """(C, h, w) float32 on the CPU."""
        return self.to_map(self.tensor.detach())[0].float().cpu()

    @property
    def label(self) -> str:
        """Name, stride and shape, for a picture."""
        _, channels, height, width = self.to_map(self.tensor.detach()).shape
        down, across = self.pitch
        stride = f'{down:g}' if down == across else f'{down:.3g}x{across:.3g}'
        return f'{self.name}: stride {stride}, {channels}x{height}x{width}'


@contextmanager
def capture(model: nn.Module) -> Iterator[dict[str, list[Level]]]:
    """Keep the maps of the one image that goes through a model of mmdet, mmseg or mmpretrain.

    Yields:
        ``'backbone'`` and, where there is one, ``'neck'``: levels, finest first, once the model has
        run. A backbone that gives pooled features or logits is looked into, at the blocks that
        timm's ``feature_info`` names.
    """
    found: dict[str, list[Level]] = {}
    state: dict[str, Any] = {}
    blocks: dict[str, Level] = {}
    backbone = model.backbone
    inside = inner_blocks(backbone)

    def enter(module: nn.Module, args: tuple) -> None:
        state['size'] = tuple(args[0].shape[-2:])
        state['placing'] = Placing.of(module, state['size'])
        blocks.clear()

    def block(name: str, channels: int, module: nn.Module, args: tuple, output: Any) -> None:
        level = _inner_level(state['placing'], name, output, channels)
        if level is not None:
            level.before = _inner_level(state['placing'], f'before {name}', args[0], None)
            blocks[name] = level

    def leave(module: nn.Module, args: tuple, output: Any) -> None:
        # Others call the steps of their stages so.
        strides = module.strides if isinstance(module, TimmBackbone) else ()
        maps = _maps(output)
        told = strides if len(maps) == len(strides) else [None] * len(maps)
        found['backbone'] = list(blocks.values()) or [
            _outer_level(f'level {n}', m, state['size'], stride)
            for n, (m, stride) in enumerate(zip(maps, told, strict=True))
        ]

    def neck(module: nn.Module, args: tuple, output: Any) -> None:
        found['neck'] = [
            _outer_level(f'neck {n}', m, state['size'], None) for n, m in enumerate(_maps(output))
        ]

    handles = [
        backbone.register_forward_pre_hook(enter),
        backbone.register_forward_hook(leave),
        *(m.register_forward_hook(partial(block, n, c)) for n, m, c in inside),
    ]
    if isinstance(getattr(model, 'neck', None), nn.Module):
        handles.append(model.neck.register_forward_hook(neck))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def inner_blocks(backbone: nn.Module) -> list[tuple[str, nn.Module, int]]:
    """Name, module and channels of the blocks whose outputs are shown where there are no maps."""
    if getattr(backbone, 'output', 'maps') == 'maps':
        return []
    told = list(getattr(backbone.model, 'feature_info', None) or ())
    modules = dict(backbone.model.named_modules())
    told = [one for one in told if one.get('module') in modules]
    if not told:
        return []
    taps = choose_taps([one['reduction'] for one in told], _STRIDES)
    chosen = [told[n] for n in dict.fromkeys(taps)]
    return [(one['module'], modules[one['module']], one['num_chs']) for one in chosen]


def _maps(output: Any) -> Sequence[torch.Tensor]:
    if isinstance(output, dict):
        output = tuple(output.values())
    several = output if isinstance(output, tuple | list) else (output,)
    return [m for m in several if isinstance(m, torch.Tensor) and m.dim() == 4]


def _outer_level(
    name: str, tensor: torch.Tensor, size: tuple[int, int], stride: float | None
) -> Level:
    pitch = (float(stride),) * 2 if stride else pitch_of(size, tuple(tensor.shape[-2:]))
    return Level(name, tensor, lambda found: found, pitch)


def _inner_level(placing: Placing, name: str, output: Any, channels: int | None) -> Level | None:
    tensor = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(tensor, torch.Tensor):
        return None
    fitting = [
        layout
        for layout in placing.layouts(tensor.shape)
        if channels in (None, tensor.shape[1 if layout.order == 'NCHW' else -1])
    ]
    if not fitting:
        return None

    def to_map(found: torch.Tensor, layout: Layout = fitting[0]) -> torch.Tensor:
        return placing.lift(layout.apply(found))[0]

    return Level(name, tensor, to_map, placing.lift(fitting[0].apply(tensor.detach()))[1])
