"""Corrections of a module of others, made when somebody imports it."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

Run = Callable[[ModuleType], None]


def after_import(name: str, correct: Run) -> None:
    """Call ``correct`` with the module of this name whenever it has run; at once if it has.

    Harmless when repeated with the same name.
    """

    def execute(module: ModuleType, run: Run) -> None:
        run(module)
        correct(module)

    if at_import(name, execute) and name in sys.modules:
        correct(import_module(name))  # waits for another thread that is at it


def at_import(name: str, execute: Callable[[ModuleType, Run], None]) -> bool:
    """Call ``execute`` with the module of this name and what would run it, in place of running it.

    Returns:
        False if the name is looked after already: nothing is changed.
    """
    if any(isinstance(finder, _Finder) and finder.name == name for finder in sys.meta_path):
        return False
    sys.meta_path.insert(0, _Finder(name, execute))
    return True


class _Finder:
    """Finds one module, where everybody else does."""

    def __init__(self, name: str, execute: Callable[[ModuleType, Run], None]) -> None:
        self.name = name
        self.execute = execute

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != self.name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self.execute(module, run)
        return spec
