"""How an optimiser's state lies in memory."""

import torch


def lay_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """Let the state lie in memory as the weights that it belongs to, in place.

    A checkpoint keeps the layout that ``--channels-last`` gave it, or not. torch's fused optimisers
    go through weights and state element by element as they lie: on a GPU they refuse another
    layout, on a CPU they take a neighbour's state.
    """
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if (
                isinstance(value, torch.Tensor)
                and value.shape == weight.shape
                and value.stride() != weight.stride()
            ):
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
