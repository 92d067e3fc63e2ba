"""Activation checkpointing for every model that has blocks: recompute instead of keep.

Chen et al., https://arxiv.org/abs/1604.06174. timm's own is taken where it has an effect on the
maps. The blocks of other models are found by running a twin on the meta device.
"""

from collections import Counter
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from vitmm.errors import BackboneError
from vitmm.models.backbones.running import names_of_running
from vitmm.models.backbones.twin import Twin, ask_once

_SHARE = 8  # a block that keeps more than one in so many of all values is split, if it can be


def checkpoint_activations(model: nn.Module, model_name: str, **settings) -> None:
    """Make ``model`` keep fewer activations for its backward pass, in place.

    Statistics of recomputed batch norms move twice a step, as they do with timm's own.

    Args:
        model: a timm model, pruned or not.
        model_name: its name.
        settings: what it was made with.

    Raises:
        BackboneError: the model has no blocks that could be recomputed.
    """
    blocks = ask_once('checkpointing', _choose, model_name, settings, changed=True)
    if blocks is None:
        model.set_grad_checkpointing()
        return
    if not blocks:
        raise BackboneError(
            f"grad_checkpointing: '{model_name}' is a chain of single layers: it has no blocks "
            'whose inputs could be kept alone. Set it to False.'
        )
    for name, module in model.named_modules():
        if name in blocks:
            # Not a closure: a copy of the module (EMA) must call its own layers.
            module.forward = partial(_recompute, module.forward)


def _recompute(forward, *args, **kwargs) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)


def _choose(twin: Twin) -> frozenset[str] | None:
    """The names of the blocks to recompute; None where timm's own switch does it."""
    kept = kept_values(twin)
    total = kept['']
    try:
        twin.model.set_grad_checkpointing()
        if kept_values(twin)[''] < total:
            return None
        twin.model.set_grad_checkpointing(False)
    except (AssertionError, AttributeError):  # timm's ways to say no
        pass
    spoiled = _spoiled(twin)

    def blocks(module: nn.Module, prefix: str) -> list[str]:
        found = []
        for name, child in module.named_children():
            name = prefix + name
            # A part that is never called (a list) keeps nothing itself.
            split = name in spoiled or not 0 < kept[name] * _SHARE <= total
            inner = blocks(child, f'{name}.') if split else []
            composite = name not in spoiled and any(True for _ in child.children())
            if composite and sum(kept[n] for n in inner) * 2 < kept[name]:
                found.append(name)
            else:
                found += inner
        return found

    return frozenset(blocks(twin.model, ''))


def kept_values(twin: Twin) -> Counter[str]:
    """How many values one image at the native size leaves for the backward pass, by module.

    Values inside a module count for all modules around it; ``''`` is the whole model.
    """
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    alive: list[torch.Tensor] = []  # so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in seen:
            seen.add(storage)
            counts.update({name: tensor.numel() for name in {'', *running}})
        alive.append(tensor)
        return tensor

    parameters = {p.untyped_storage()._cdata for p in twin.model.parameters()}
    seen.update(parameters)
    with (
        names_of_running(twin.model.named_modules()) as running,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        twin.run(twin.native)
    return counts


def _spoiled(twin: Twin) -> set[str]:
    """The modules that change their inputs in place: run again, they would see other ones."""
    spoiled: set[str] = set()
    before: list[list[tuple]] = []

    def look(args: tuple) -> list[tuple]:
        leaves = tree_leaves(args)  # HRNet's modules change lists
        return [(leaf, leaf._version) for leaf in leaves if isinstance(leaf, torch.Tensor)]

    def enter(module: nn.Module, args: tuple) -> None:
        before.append(look(args))

    def leave(name: str, module: nn.Module, args: tuple, output: Any) -> None:
        now, then = look(args), before.pop()
        if [(id(leaf), version) for leaf, version in now] != [(id(t), v) for t, v in then]:
            spoiled.add(name)

    handles = []
    for name, module in twin.model.named_modules():
        handles += [
            module.register_forward_pre_hook(enter),
            module.register_forward_hook(partial(leave, name)),
        ]
    try:
        twin.run(twin.native)
    finally:
        for handle in handles:
            handle.remove()
    return spoiled
