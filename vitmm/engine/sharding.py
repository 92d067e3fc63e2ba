"""A model, its optimiser and its averages laid out over all processes, and whole again.

PyTorch's FSDP2 (``torch.distributed.fsdp.fully_shard``; Zhao et al.,
https://arxiv.org/abs/2304.11277): every process keeps a slice of each parameter, of its gradient
and of its optimiser state, and has whole parameters only of the part that runs. The model stays
the object that it was, with the names that it had.
"""

from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size, is_main_process
from mmengine.optim import OptimWrapper
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.utils._pytree import tree_map_only


def shard_model(model: nn.Module, device: str, unused: bool = False) -> None:
    """Leave each process its slice of every parameter of ``model``, in place.

    The backbone's blocks (``units()``) are gathered when they run and freed after, then all the
    rest at once. Whole parameters are moved to ``device`` a part at a time, so that a model whose
    slices fit need not fit itself.

    Args:
        model: the same on all processes, on the CPU or on ``device``.
        device: ``'cuda'`` or ``'cpu'``.
        unused: some parameters get no gradient on some processes; they count as zeros.
    """
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device, (get_world_size(),))
    place = partial(_place, processes=get_world_size())
    # A number has no slices: it stays whole everywhere, and its gradient is averaged here.
    numbers = {p for p in model.parameters() if p.ndim == 0}
    for number in numbers:
        number.data = number.data.to(device)
        if number.requires_grad:
            number.register_post_accumulate_grad_hook(_average_gradient)
    backbone = getattr(model, 'backbone', None)
    units = backbone.units() if hasattr(backbone, 'units') else []
    for module in [*units, model]:
        # The root too: parameters are slices whenever hooks look at them (averages, checkpoints).
        fully_shard(
            module,
            mesh=mesh,
            reshard_after_forward=True,
            shard_placement_fn=place,
            ignored_params=numbers,
        )
    if unused:
        model.set_reduce_scatter_unused_params(True)


def keep_whole(model: nn.Module) -> None:
    """Gather all parameters of a sharded model, until :func:`slice_again`."""
    for part in _parts(model):
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()


def slice_again(model: nn.Module) -> None:
    """Leave each process its slices again, and gather parts when they run."""
    for part in _parts(model):
        part.set_reshard_after_forward(True, recurse=False)
        part.reshard()


def shard_optimizer(
    optim_wrapper: OptimWrapper, before: dict[str, nn.Parameter], model: nn.Module
) -> None:
    """Let an optimiser of whole parameters go on with their slices, state included.

    Args:
        optim_wrapper: made for the parameters ``before``, with or without state.
        before: the parameters by name, as they were before ``model`` was sharded.
        model: sharded.
    """
    optimizer = optim_wrapper.optimizer
    state = optimizer.state_dict()
    after = dict(model.named_parameters())
    slices = {id(parameter): after[name] for name, parameter in before.items()}
    for group in optimizer.param_groups:
        group['params'] = [slices[id(p)] for p in group['params']]
        if len({isinstance(p, DTensor) for p in group['params']}) > 1:
            # One call for many tensors takes no mixture.
            group.update({key: False for key in ('foreach', 'fused') if key in group})
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    optimizer.state.clear()
    for index, values in state['state'].items():
        state['state'][index] = {k: _like(v, parameters[index]) for k, v in values.items()}
    for group, old in zip(optimizer.param_groups, state['param_groups'], strict=True):
        old.update({key: group[key] for key in ('foreach', 'fused') if key in group})
    optimizer.load_state_dict(state)
    if optim_wrapper.clip_grad_kwargs and optim_wrapper.grad_name == 'grad_norm':
        optim_wrapper.clip_func = clip_grad_norm


def clip_grad_norm(
    parameters: list[nn.Parameter], max_norm: float, norm_type: float = 2.0, **kwargs
) -> torch.Tensor:
    """``torch.nn.utils.clip_grad_norm_`` where some gradients are slices and some are whole.

    Returns:
        The norm of all gradients of all processes, a number.
    """
    kinds: dict[bool, list[torch.Tensor]] = {}
    for parameter in parameters:
        kinds.setdefault(isinstance(parameter.grad, DTensor), []).append(parameter)
    norms = [
        nn.utils.get_total_norm([p.grad for p in kind], norm_type, **kwargs)
        for kind in kinds.values()
    ]
    norms = [norm.full_tensor() if isinstance(norm, DTensor) else norm for norm in norms]
    total = nn.utils.get_total_norm(norms, norm_type, **kwargs)
    for kind in kinds.values():
        nn.utils.clip_grads_with_norm_(kind, max_norm, total)
    return total


def gather(state: Any) -> Any:
    """Whole tensors in place of slices, on the CPU of the first process; None on the others.

    All processes must call it, with the same structure.
    """
    first = is_main_process()

    def whole(slice_: DTensor) -> torch.Tensor | None:
        tensor = slice_.full_tensor()
        return tensor.cpu() if first else None

    return tree_map_only(DTensor, whole, state)


def _parts(model: nn.Module) -> list[Any]:
    from torch.distributed.fsdp import FSDPModule

    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def _place(parameter: nn.Parameter, processes: int) -> Shard | None:
    """Slice another dimension than the first where that is too short, if another fits.

    Position embeddings are (1, tokens, C): the first process would hold all of them.
    """
    if parameter.shape[0] >= processes:
        return None
    return next((Shard(d) for d, side in enumerate(parameter.shape) if side % processes == 0), None)


def _like(value: Any, parameter: nn.Parameter) -> Any:
    """The slice of an optimiser's tensor that belongs to a parameter's."""
    if not isinstance(parameter, DTensor) or not isinstance(value, torch.Tensor):
        return value
    if value.shape != parameter.shape:
        return value
    return distribute_tensor(
        value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
    )


def _average_gradient(parameter: nn.Parameter) -> None:
    # What earlier passes left is the same everywhere, so that the mean of the sums is right.
    parameter.grad /= get_world_size()
    dist.all_reduce(parameter.grad)
