"""A small ``shapes`` set, drawn once for all the tests here."""

import shutil

import pytest

from vitmm.datasets import write_shapes

COUNTS = {'num_train': 8, 'num_val': 4, 'num_cls_train': 12, 'num_cls_val': 6}


@pytest.fixture(scope='session')
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp('data') / 'shapes', **COUNTS)


@pytest.fixture
def copy(shapes, tmp_path):
    """A copy of the set that a test may break."""
    return shutil.copytree(shapes, tmp_path / 'copy')
