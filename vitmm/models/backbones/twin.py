"""A timm model on the meta device: no memory, no arithmetic, only shapes.

It is asked what it makes of images of a few sizes, so that nothing has to be believed that timm's
descriptions say, and new models need no care.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from vitmm.meta import RememberedShapes
from vitmm.models.backbones import timm_factory
from vitmm.models.cells import cells

Size = tuple[int, int]
Shapes = list[tuple[int, ...]]

_known: dict[str, Any] = {}
_last: dict[str, 'Twin'] = {}  # making one takes longer than asking it
_shapes = RememberedShapes()  # of the last one


@torch.inference_mode(False)  # some questions need gradients, wherever a backbone is built
@torch.enable_grad()
def ask_once(
    kind: str,
    function: 'Callable[[Twin], Any]',
    model_name: str,
    settings: dict[str, Any],
    changed: bool = False,
) -> Any:
    """What ``function`` finds out about a model, remembered in this process.

    Args:
        kind: of question.
        function: asks the twin.
        model_name: of ``timm.list_models()``.
        settings: what ``timm.create_model`` takes.
        changed: the function changes its twin, so it gets one of its own.
    """
    model = f'{model_name} {sorted(settings.items())!r}'
    key = f'{kind} {model}'
    if key not in _known:
        if model not in _last:
            _last.clear()
            _shapes.known.clear()
            _last[model] = Twin(model_name, settings)
        twin = Twin(model_name, settings) if changed else _last[model]
        with _shapes:
            _known[key] = function(twin)
    return _known[key]


class Twin:
    """A model on the meta device, and the shapes that it gives."""

    def __init__(self, model_name: str, settings: dict[str, Any]) -> None:
        self.name = model_name
        self.output = 'NCHW'
        self.classifies = bool(settings.get('num_classes'))
        self.model = timm_factory.create_meta(model_name, **settings).eval()
        self.in_chans = settings.get('in_chans', 3)
        self.native = native_size(self.model, settings)
        skip_steps(self.model)

    @torch.no_grad()
    def pooled(self, size: Size) -> tuple[int, ...]:
        return tuple(self.pool(size).shape)

    def pool(self, size: Size) -> torch.Tensor:
        if self.classifies:
            return self.model(self.images(size))
        features = self.model.forward_features(self.images(size))
        return self.model.forward_head(features, pre_logits=True)

    @torch.no_grad()
    def maps(self, size: Size) -> Shapes:
        found = self.run(size)
        grids = [[cells(s, f['reduction']) for s in size] for f in self.model.feature_info]
        if found[0].dim() == 4:
            return [tuple(m.shape[1:]) for m in found]
        if any(t.shape[1] != h * w for t, (h, w) in zip(found, grids, strict=True)):
            raise RuntimeError('as many tokens as cells were expected')
        return [(t.shape[2], h, w) for t, (h, w) in zip(found, grids, strict=True)]

    def run(self, size: Size, **kwargs) -> list[torch.Tensor]:
        """The maps, NCHW; (N, tokens, C) where the grid is read from values: here are none."""
        images = self.images(size)
        kwargs.update(intermediates_only=True, output_fmt=self.output)
        try:
            return self.model.forward_intermediates(images, **kwargs)
        except RuntimeError as error:
            if self.output == 'NLC' or '.item()' not in str(error):
                raise
        self.output = 'NLC'
        return self.run(size, **kwargs)

    def images(self, size: Size) -> torch.Tensor:
        return torch.empty(1, self.in_chans, *size, device='meta')


def skip_steps(model: nn.Module) -> None:
    """Run LSTMs of a model on the meta device at once: step by step they take minutes there."""
    for module in model.modules():
        if isinstance(module, nn.LSTM) and module.num_layers == 1:
            module.forward = _lstm_shape(module)


def native_size(model: nn.Module, settings: dict[str, Any]) -> Size:
    """The (height, width) that a timm model was made for: ``img_size``, or its pretrained one.

    Where patches do not divide it, timm leaves the last pixels out, but refuses to as soon as the
    size may change: then it is what the patches cover.
    """
    size = settings.get('img_size') or model.pretrained_cfg['input_size'][-2:]
    size = (size, size) if isinstance(size, int) else tuple(size)
    patches = getattr(model, 'patch_embed', None)
    if getattr(patches, 'strict_img_size', True) or getattr(patches, 'dynamic_img_pad', True):
        return size
    height, width = (
        side // patch * patch for side, patch in zip(size, patches.patch_size, strict=True)
    )
    return height, width


def _lstm_shape(module: nn.LSTM) -> Callable:
    """An LSTM's shapes, dependencies and multiplications, all steps at once."""
    ways = ('', '_reverse') if module.bidirectional else ('',)

    def gates(x: torch.Tensor, way: str) -> torch.Tensor:
        before = x.new_empty(*x.shape[:-1], module.hidden_size)
        weights = (getattr(module, f'{kind}_l0{way}') for kind in ('weight_ih', 'bias_ih'))
        inputs = F.linear(x, *weights)
        weights = (getattr(module, f'{kind}_l0{way}') for kind in ('weight_hh', 'bias_hh'))
        return (inputs + F.linear(before, *weights))[..., : module.hidden_size]

    def forward(x: torch.Tensor, *_):
        return torch.cat([gates(x, way) for way in ways], dim=-1), None

    return forward
