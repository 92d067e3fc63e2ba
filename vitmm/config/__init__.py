"""From a recipe and a command line to a plain, complete config."""

from vitmm.config.formatting import format_quickly
from vitmm.config.load import load_config
from vitmm.config.resolve import resolve

__all__ = ['load_config', 'resolve']

format_quickly()  # whoever asks for a config's text
