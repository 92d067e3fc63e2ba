"""Parts of mmdet's heads name each other without a scope."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def in_mmdets_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield
