"""Which parts of a timm model one compiled graph each can serve, whatever the size of the images.

A block that pads, shifts or resizes does other things at other sizes, and torch.compile would make
a graph for each; in such a block only the parts that do not are compiled (a Swin block's windows
stay as they are, its attention and MLP are compiled).
"""

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vitmm.models.backbones.measure import measure_maps
from vitmm.models.backbones.running import names_of_running
from vitmm.models.backbones.twin import Twin, ask_once

_FEW = 3  # operators: less is not worth a graph


def steady_regions(model_name: str, **settings) -> frozenset[str]:
    """Ask a model which of its parts run the same operators at every size of image.

    Repeated blocks are taken whole where they do: all of one shape share a graph. Of others the
    largest parts that do.

    Args:
        model_name: a name of ``timm.list_models()``.
        settings: what ``timm.create_model`` takes.

    Returns:
        The names of modules, none inside another.
    """

    def ask(twin: Twin) -> frozenset[str]:
        canvas = measure_maps(model_name, **settings).canvas
        height, width = twin.native
        wanted = [(height, width)]
        if not canvas.tiled:
            wanted += [(height * 3 // 2 + 9, width * 5 // 4 + 1), (height // 2, width + 77)]
        runs = [_programs(twin, canvas.size_for(size)) for size in wanted]
        steady = {n for n, p in runs[0].items() if all(run.get(n) == p for run in runs)}
        return frozenset(_choose(twin.model, '', steady, runs[0]))

    return ask_once('regions', ask, model_name, settings)


def _choose(
    module: nn.Module,
    prefix: str,
    steady: set[str],
    programs: dict[str, list],
    inside: bool = False,
) -> Iterator[str]:
    """The outermost steady parts of the blocks under ``module``."""
    for name, child in module.named_children():
        path = prefix + name
        chain = _has_chain(child)
        block = inside or (_is_block(module, child) and not chain)
        composite = any(True for _ in child.children())
        worth = composite and len(programs.get(path, ())) >= _FEW
        if block and worth and path in steady:
            yield path
        else:
            yield from _choose(child, f'{path}.', steady, programs, block and not chain)


def _is_block(parent: nn.Module, child: nn.Module) -> bool:
    """Whether ``child`` is a link of a chain of composite modules of one class."""
    if not isinstance(parent, nn.Sequential | nn.ModuleList) or not any(child.children()):
        return False
    return sum(type(link) is type(child) for link in parent.children()) > 1


def _has_chain(module: nn.Module) -> bool:
    """Whether there are blocks inside ``module``: then it is a stage, and they are taken."""
    return any(_is_block(part, child) for part in module.modules() for child in part.children())


def _programs(twin: Twin, size: tuple[int, int]) -> dict[str, list]:
    """What every module runs at a size of image: operators, and their numbers that are no sizes."""
    programs: dict[str, list] = defaultdict(list)

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            step = function, tuple(a for a in args if isinstance(a, float))
            for name in running:
                programs[name].append(step)
            return function(*args, **(kwargs or {}))

    with torch.no_grad(), names_of_running(twin.model.named_modules()) as running, Record():
        twin.run(size)
    return programs
