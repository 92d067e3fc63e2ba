"""Messages about checkpoints that do not fit."""

import pytest
import torch
from torch import nn

from vitmm.apis.checkpoints import check_classes, check_state
from vitmm.errors import ConfigError, WeightsError


def test_the_config_beside_a_checkpoint_is_named(tmp_path):
    checkpoint = tmp_path / 'epoch_1.pth'
    state = {'weight': torch.zeros(3, 2)}
    with pytest.raises(WeightsError, match='the work dir holds it'):
        check_state(nn.Linear(2, 3), state, checkpoint)
    for name in ('mine.py', 'mine_test.py'):
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=f'or {tmp_path / "mine.py"}, which has them all'):
        check_state(nn.Linear(2, 3), state, checkpoint)


def test_the_first_class_that_differs_is_named():
    check_classes(('cat', 'dog'), ['cat', 'dog'], 'a.pth')
    check_classes((), ['cat'], 'a.pth')
    with pytest.raises(ConfigError, match=r"class 1 is 'dog' there and 'cow' here\."):
        check_classes(['cat', 'dog'], ['cat', 'cow'], 'a.pth')
    with pytest.raises(ConfigError, match=r"on 1 classes .* has 2, .* None there and 'dog' here"):
        check_classes(['cat'], ['cat', 'dog'], 'a.pth')
