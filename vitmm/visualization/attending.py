"""Watching the attention of any backbone while it runs.

The operations themselves are watched: ``scaled_dot_product_attention``, whose weights are computed
again, and a product of matrices, on either side of which a softmax stands that it sums over. So it
makes no difference how a model calls them, and timm's fused attention needs no switching off.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_SOFTMAX = (torch.softmax, torch.Tensor.softmax, F.softmax)
_MATMUL = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm)
_SDPA = ('query', 'key', 'value', 'attn_mask', 'dropout_p', 'is_causal')
_RECENT = 16  # outputs before an operation, that it may have been made of


@dataclass
class Attended:
    """One attention operation of a forward pass.

    Attributes:
        module: whose it is, ``'blocks.11.attn'``.
        first: what the first query gives to each key, (B, heads, K); heads may be in B.
        mean: what all queries give on average, likewise.
        queries: their number.
        value: (B, heads, K, d), in the graph.
        maps: what the values may have been made of, likely ones first: inputs of the modules that
            ran, outputs of those before.
        weights: (B, Q, K), averaged over heads; only for the rollout.
        channels: the queries are channels of the keys, each of which has a softmax over the keys.
        stream: the module's input, and with the ``maps`` that it may have been made of the first
            tensor of its shape: where blocks hand on the same tokens, they lie as they did there.
        others: the same, with heads and windows told apart in another way.
    """

    module: str
    first: torch.Tensor
    mean: torch.Tensor
    queries: int
    value: torch.Tensor
    maps: list[torch.Tensor]
    weights: torch.Tensor | None = None
    channels: bool = False
    stream: tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]] | None = None
    others: 'list[Attended]' = field(default_factory=list)


class AttentionWatch(TorchFunctionMode):
    """Keeps attention operations of a backbone while it runs; a context manager.

    Args:
        backbone: to watch; what runs outside it is not looked at.
        keep: whose attention to keep, by their number in the forward pass; none to count only.
        weights: keep the matrices too.

    Attributes:
        modules: the names of those that attend, in their order.
        kept: of each number, the operations: several where windows differ in shape.
    """

    def __init__(
        self, backbone: nn.Module, keep: Sequence[int] = (), weights: bool = False
    ) -> None:
        super().__init__()
        self.backbone, self.keep, self.weights = backbone, set(keep), weights
        self.modules: list[str] = []
        self.kept: dict[int, list[Attended]] = {}
        self._running: list[tuple[str, nn.Module, list[torch.Tensor]]] = []
        self._done: deque[torch.Tensor] = deque(maxlen=_RECENT)
        self._soft: tuple[torch.Tensor, int] | None = None  # a result, and over what
        self._streams: dict[torch.Size, tuple[torch.Tensor, list[torch.Tensor]]] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> 'AttentionWatch':
        for name, module in self.backbone.named_modules():
            self._handles += [
                module.register_forward_pre_hook(partial(self._enter, name), with_kwargs=True),
                module.register_forward_hook(self._leave),
            ]
        return super().__enter__()

    def __exit__(self, *error) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()

    def _enter(self, name: str, module: nn.Module, args: tuple, kwargs: dict) -> None:
        inputs = [one for one in (*args, *kwargs.values()) if _is_map(one)]
        if self.keep and inputs and inputs[0].shape not in self._streams:
            self._streams[inputs[0].shape] = inputs[0], list(reversed(self._done))
        self._running.append((name, module, inputs))

    def _leave(self, module: nn.Module, args: tuple, output: Any) -> None:
        self._running.pop()
        if _is_map(output):
            self._done.append(output)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self._running and func is F.scaled_dot_product_attention:
            named = dict(zip(_SDPA, args, strict=False)) | kwargs
            self._meet(lambda: sdpa_weights(**named), named['query'].shape[-2], named['value'])
        elif self._running and func in _MATMUL and self._soft is not None:
            left, right = args[0], args[1] if len(args) > 1 else next(iter(kwargs.values()))
            self._multiply(left, right, *self._soft)
        found = func(*args, **kwargs)
        if self._running and func in _SOFTMAX:
            dim = kwargs.get('dim', args[1] if len(args) > 1 else None)
            matrix = found.dim() >= 3 and dim is not None and dim % found.dim() > 0
            self._soft = (found, dim % found.dim()) if matrix else None
        return found

    def _multiply(
        self, left: torch.Tensor, right: torch.Tensor, soft: torch.Tensor, dim: int
    ) -> None:
        """Meet attention if the product of two matrices sums over ``dim`` of a softmax."""
        if left.dim() != right.dim():
            return
        channels = dim < soft.dim() - 1
        if _sums_over(left, -1, soft, dim):
            weights, value = left, right
        elif _sums_over(right, -2, soft, dim):
            weights, value = right.mT, left.mT
        elif left.shape == soft.shape and not channels:  # heads mixed, dropout, another precision
            weights, value = left, right
        else:
            return
        self._soft = None
        self._meet(lambda: _shares(weights, soft), weights.shape[-2], value, channels)

    @torch.no_grad()
    def _meet(
        self,
        weights: Callable[[], torch.Tensor],
        queries: int,
        value: torch.Tensor,
        channels: bool = False,
    ) -> None:
        name = self._running[-1][0].removeprefix('model.')
        if self.modules[-1:] != [name]:
            self.modules.append(name)
        number = len(self.modules) - 1
        if number not in self.keep:
            return
        found = weights()
        heads = getattr(self._running[-1][1], 'num_heads', 1)
        with torch.enable_grad():
            splits = list(zip(_splits(found, heads), _splits(value, heads), strict=False))
        *outer, inner = (tensors for *_, tensors in self._running)
        outer = [one for tensors in reversed(outer) for one in tensors]
        stream = self._streams.get(inner[0].shape) if inner else None
        first, *others = (
            Attended(
                module=self.modules[-1],
                first=found[..., 0, :],
                mean=found.mean(-2),
                queries=queries,
                value=value,
                maps=[*inner, *reversed(self._done), *outer],
                weights=found.mean(1) if self.weights else None,
                channels=channels,
                stream=(inner[0], *stream) if stream else None,
            )
            for found, value in splits
        )
        first.others = others
        self.kept.setdefault(number, []).append(first)


def _sums_over(operand: torch.Tensor, axis: int, soft: torch.Tensor, dim: int) -> bool:
    """Whether ``operand`` is a view of ``soft``, and its ``axis`` is ``dim`` there."""
    return (
        operand.untyped_storage().data_ptr() == soft.untyped_storage().data_ptr()
        and operand.numel() == soft.numel()
        and (operand.shape[axis], operand.stride(axis)) == (soft.shape[dim], soft.stride(dim))
    )


def _shares(used: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """The matrix that multiplies the values, or the softmax where heads were mixed behind it."""
    used = used.detach().float()
    sums = used.sum(-1)
    fair = torch.allclose(sums, torch.ones_like(sums), atol=0.02) and bool((used >= 0).all())
    return used if fair else soft.detach().float()


def _is_map(one: Any) -> bool:
    return isinstance(one, torch.Tensor) and one.dim() in (3, 4) and one.is_floating_point()


def _splits(tensor: torch.Tensor, heads: int) -> Iterator[torch.Tensor]:
    """The ways of bringing (..., rows, columns) to (B, heads, rows, columns), likely ones first."""
    yield _split(tensor, heads)
    if tensor.dim() == 4 and 1 < heads != tensor.shape[1] and tensor.shape[0] % heads == 0:
        # (B x heads, windows), as HaloNet has them.
        yield tensor.unflatten(0, (-1, heads)).transpose(1, 2).flatten(0, 1)


def _split(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Bring (..., rows, columns) to (B, heads, rows, columns)."""
    lead = tensor.shape[:-2]
    if len(lead) == 2:
        return tensor
    if len(lead) == 1:
        return tensor.unflatten(0, (-1, heads if lead[0] % heads == 0 else 1))
    axes = [axis for axis, length in enumerate(lead) if axis and length == heads]
    if not axes:
        return tensor.flatten(0, -3)[:, None]
    return tensor.movedim(axes[-1], -3).flatten(0, -4)


def sdpa_weights(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor | None = None,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """softmax(query key^T / sqrt(d) + mask), (..., Q, K) float32: what F.s.d.p.a. multiplies."""
    query, key = query.detach().float(), key.detach().float()
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = query * scale @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones_like(logits, dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        logits = logits.masked_fill(~attn_mask, float('-inf'))
    elif attn_mask is not None:
        logits = logits + attn_mask.float()
    return logits.softmax(-1)
