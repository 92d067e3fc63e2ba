"""What there is to know of one timm backbone before choosing it."""

from dataclasses import dataclass

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitmm.errors import BackboneError, VitmmError
from vitmm.meta import RememberedShapes
from vitmm.models.backbones.checkpointing import checkpoint_activations
from vitmm.models.backbones.timm_backbone import TimmBackbone
from vitmm.models.backbones.twin import skip_steps
from vitmm.models.cells import cells


@dataclass
class Survey:
    """One architecture, as :class:`TimmBackbone` gives it with its default maps.

    Attributes:
        name: of the architecture.
        channels: of each map.
        strides: of each map, in pixels.
        native: (height, width) in pixels that it was made for.
        sizes: how it takes other sizes: ``Canvas.policy``.
        parameters: millions, without the classifier and what lies behind the last map.
        gflops_224: of one image of 224 x 224, in 1e9 multiply-adds, padding and tiles included.
        gflops_512: of 512 x 512.
        groups: steps of layer-wise decay.
        checkpointing: whether activation checkpointing keeps fewer activations.
        weights: timm's tags.
        refused: why it cannot be used, if so.
    """

    name: str
    channels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    native: tuple[int, int] = (0, 0)
    sizes: str = ''
    parameters: float = 0.0
    gflops_224: float = 0.0
    gflops_512: float = 0.0
    groups: int = 0
    checkpointing: bool = False
    weights: tuple[str, ...] = ()
    refused: str = ''


def survey(name: str) -> Survey:
    """Measure one architecture on the meta device; what goes wrong is told in ``refused``."""
    try:
        with torch.device('meta'):
            backbone = TimmBackbone(name).eval()
        skip_steps(backbone.model)
        backbone.freeze('all')  # torch counts by hooks on what has gradients, no_grad or not
        sizes = {(side, side) for side in (224, 512)} | {backbone.canvas.native}
        sizes |= {(224, 352), (250, 333)}
        with RememberedShapes():
            flops = {size: _run(backbone, size) for size in sorted(sizes)}
        checkpointing = _can_checkpoint(backbone)
    except VitmmError as error:
        return Survey(name, refused=str(error))
    except Exception as error:  # each model fails in its own way; the table tells which
        return Survey(name, refused=f'{type(error).__name__}: {error}'.splitlines()[0])
    return Survey(
        name=name,
        channels=backbone.channels,
        strides=backbone.strides,
        native=backbone.canvas.native,
        sizes=backbone.canvas.policy,
        parameters=sum(p.numel() for p in backbone.model.parameters()) / 1e6,
        gflops_224=flops[224, 224],
        gflops_512=flops[512, 512],
        groups=max(backbone.layer_depths().values()) + 1,
        checkpointing=checkpointing,
        weights=tuple(n.partition('.')[2] for n in timm.list_pretrained(f'{name}.*')),
    )


def _run(backbone: TimmBackbone, size: tuple[int, int]) -> float:
    """Count the multiply-adds of one image, in 1e9; see that every map is as large as promised."""
    with FlopCounterMode(display=False) as counter:
        maps = backbone(torch.empty(1, backbone.in_chans, *size, device='meta'))
    for m, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
        promised = (1, channels, *(cells(side, stride) for side in size))
        if tuple(m.shape) != promised:
            raise BackboneError(f'a map of {size} is {tuple(m.shape)}, not {promised}')
    return counter.get_total_flops() / 2e9


def _can_checkpoint(backbone: TimmBackbone) -> bool:
    try:
        checkpoint_activations(backbone.model, backbone.model_name, **backbone.settings)
    except BackboneError:
        return False
    return True
