"""How deep each parameter of a timm model lies, as timm itself tells."""

from timm.models._manipulate import group_with_matcher
from torch import nn

HEAD = 'head of another module'  # a name that no matcher knows, as a classifier's is


def parameter_depths(model: nn.Module, coarse: bool = False) -> dict[str, int]:
    """Number the parameters from the stem (0) upwards: one step a block; then comes the head.

    Args:
        model: a timm model; its ``group_matcher`` tells the blocks. The few models without one
            are read from their parameters' names: stages, and blocks within them.
        coarse: one step a stage where the model has stages.

    Returns:
        The depth of every parameter, by its name in ``model``, and under ``HEAD`` that of a head
        on top of it (which the model's own last norm may share, as it does in timm).
    """
    if hasattr(model, 'group_matcher'):
        matcher = model.group_matcher(coarse=coarse)
    else:
        matcher = _numbered(model, 1 if coarse else 2)
    named = [*model.named_parameters(), (HEAD, None)]
    return group_with_matcher(iter(named), matcher, reverse=True)


def _numbered(model: nn.Module, levels: int):
    """A matcher by the numbers in a name: ``stages.1.blocks.3.norm.weight`` is (1, 3)."""
    numbers = {
        name: tuple(int(part) for part in name.split('.') if part.isdigit())[:levels]
        for name, _ in model.named_parameters()
    }
    ordered = list(numbers)
    first = next((i for i, name in enumerate(ordered) if numbers[name]), len(ordered))
    stem = set(ordered[:first])

    def match(name: str) -> tuple[float, ...]:
        if name in stem:
            return (0,)
        return (1, *numbers[name]) if numbers.get(name) else (float('inf'),)

    return match
