"""Corrections of a module of others, made when somebody imports it."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def after_import(name: str, correct: Callable[[ModuleType], None]) -> None:
    """Call ``correct`` with the module of this name whenever it has run; at once if it has.

    Harmless when repeated with the same name.
    """
    if any(isinstance(finder, _Finder) and finder.name == name for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder(name, correct))
    if name in sys.modules:
        correct(import_module(name))  # waits for another thread that is at it


class _Finder:
    """Finds one module, where everybody else does."""

    def __init__(self, name: str, correct: Callable[[ModuleType], None]) -> None:
        self.name = name
        self.correct = correct

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != self.name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                self.correct(module)

            spec.loader.exec_module = exec_module
        return spec
