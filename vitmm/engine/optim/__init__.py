"""The optimiser's wrapper and constructors, one a file."""

from vitmm.engine.optim.layer_decay import LayerDecayConstructor
from vitmm.engine.optim.optim_wrapper import OptimWrapper

__all__ = ['LayerDecayConstructor', 'OptimWrapper']
