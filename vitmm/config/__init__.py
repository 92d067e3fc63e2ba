"""From a recipe and a command line to a plain, complete config."""

from vitmm.config.load import load_config
from vitmm.config.resolve import resolve

__all__ = ['load_config', 'resolve']
