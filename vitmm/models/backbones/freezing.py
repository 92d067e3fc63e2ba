"""Which parameters of a backbone are frozen, and which of its modules rest with them."""

from collections.abc import Iterator, Mapping

from torch import nn

from vitmm.errors import BackboneError
from vitmm.models.backbones.settings import is_whole


def first_groups(depths: Mapping[str, int], groups: int, model_name: str) -> set[str]:
    """Names of the parameters of the first so many groups.

    Args:
        depths: of every parameter, from 0: a group each.
        groups: how many, 1 or more.
        model_name: for the message.

    Raises:
        BackboneError: no number, or more groups than there are.
    """
    last = max(depths.values()) + 1
    if not is_whole(groups) or not 0 < groups <= last:
        raise BackboneError(
            f"frozen_groups={groups!r}: '{model_name}' has {last} groups; give 0 to {last}, or "
            "'all'."
        )
    return {name for name, depth in depths.items() if depth < groups}


def norm_parameters(module: nn.Module) -> Iterator[str]:
    """Names of the parameters of the normalisation layers, timm's own kinds included."""
    for prefix, layer in module.named_modules():
        own = [name for name, _ in layer.named_parameters()]
        if 'norm' in type(layer).__name__.lower() and all('.' not in name for name in own):
            yield from (f'{prefix}.{name}' for name in own)


def frozen_modules(module: nn.Module) -> list[str]:
    """The names of the modules inside it that have parameters, all of them frozen."""
    return [
        name
        for name, inner in list(module.named_modules())[1:]
        if any(True for _ in inner.parameters())
        and not any(p.requires_grad for p in inner.parameters())
    ]
