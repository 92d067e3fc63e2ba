"""How many parameters a model has, and how many of them learn."""

from torch import nn


def count_parameters(model: nn.Module) -> str:
    """Say it in a line: in all, and for each part (backbone, neck, heads)."""
    parts = [
        f'{name} {_numbers(part)}'
        for name, part in model.named_children()
        if any(True for _ in part.parameters())
    ]
    return f'{_numbers(model)} parameters trainable ({", ".join(parts)})'


def _numbers(module: nn.Module) -> str:
    total = sum(p.numel() for p in module.parameters())
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return f'{trainable:,d} of {total:,d}'
