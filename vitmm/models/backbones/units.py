"""The parts of a timm model that can be laid apart in memory: each runs as a whole, by itself.

FSDP gathers one part at a time. Which parts there are is found by running a twin on the meta
device: they follow timm's own groups, are called as modules, and nobody else reads their
parameters.
"""

from collections.abc import Iterator

from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from vitmm.models.backbones.depths import HEAD, parameter_depths
from vitmm.models.backbones.running import names_of_running
from vitmm.models.backbones.twin import Twin, ask_once

_SHARE = 200  # a part of less than one in so many of all parameters is not worth a message


def find_units(model_name: str, **settings) -> tuple[str, ...]:
    """Names of the blocks of a timm model that may be gathered and freed one by one.

    Args:
        model_name: a name of ``timm.list_models()``.
        settings: what ``timm.create_model`` takes.

    Returns:
        Names of modules, none inside another. What lies in none of them (stem, norms, small
        blocks, what several blocks share) is no unit; a model may have none at all.
    """
    return ask_once('units', _find, model_name, settings)


def _find(twin: Twin) -> tuple[str, ...]:
    model = twin.model
    depths = parameter_depths(model)
    total = sum(p.numel() for p in model.parameters())
    found = [
        (name, module)
        for name, module in _uniform(model, '', depths)
        if sum(p.numel() for p in module.parameters()) * _SHARE >= total
    ]
    read_elsewhere = _read_elsewhere(twin, found)
    return tuple(name for name, _ in found if name not in read_elsewhere)


def _uniform(
    module: nn.Module, prefix: str, depths: dict[str, int]
) -> Iterator[tuple[str, nn.Module]]:
    """The largest modules whose parameters share one depth above the stem."""
    for name, child in module.named_children():
        inside = {depths[f'{prefix}{name}.{n}'] for n, _ in child.named_parameters()
                  if f'{prefix}{name}.{n}' in depths}  # fmt: skip
        container = isinstance(child, nn.ModuleList | nn.ModuleDict)  # which nobody calls
        if len(inside) == 1 and not container and inside not in ({0}, {depths[HEAD]}):
            yield prefix + name, child
        else:
            yield from _uniform(child, f'{prefix}{name}.', depths)


def _read_elsewhere(twin: Twin, units: list[tuple[str, nn.Module]]) -> set[str]:
    """The units of which a parameter is read while they do not run, or that never run."""
    owners: dict[int, set[str]] = {}
    for name, module in units:
        for parameter in module.parameters():
            owners.setdefault(id(parameter), set()).add(name)
    shared = {name for names in owners.values() if len(names) > 1 for name in names}
    called: set[str] = set()
    faulty: set[str] = set()

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            called.update(running)
            for leaf in tree_leaves((args, kwargs)):
                faulty.update(owners.get(id(leaf), set()).difference(running))
            return func(*args, **(kwargs or {}))

    with names_of_running(units) as running, Watch():
        twin.run(twin.native)
    idle = {name for name, _ in units} - called
    return shared | idle | faulty
