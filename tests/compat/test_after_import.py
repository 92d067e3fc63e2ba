"""A module of others is corrected whenever it is imported, and not imported for it."""

import importlib
import sys

import pytest

from vitmm.compat.after_import import after_import


def correct(module):
    module.value += 1


@pytest.fixture
def name(tmp_path, monkeypatch):
    (tmp_path / 'of_others.py').write_text('value = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield 'of_others'
    sys.meta_path[:] = finders
    sys.modules.pop('of_others', None)


def test_before_it_is_imported(name):
    for _ in range(2):
        after_import(name, correct)
    assert importlib.util.find_spec(name) and name not in sys.modules
    module = importlib.import_module(name)
    assert module.value == 2
    assert importlib.reload(module).value == 2


def test_once_it_has_been_imported(name):
    module = importlib.import_module(name)
    for _ in range(2):
        after_import(name, correct)
    assert module.value == 2
    assert importlib.reload(module).value == 2
