"""Optimiser-wrapper constructors, one a file."""

from vitmm.engine.optim.layer_decay import LayerDecayConstructor

__all__ = ['LayerDecayConstructor']
