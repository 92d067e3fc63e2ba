"""Messages about checkpoints that do not fit."""

import os

import pytest
import torch
from torch import nn

from vitmm.apis import checkpoints
from vitmm.apis.checkpoints import check_classes, check_state, find_last
from vitmm.compat.checkpoint import CheckpointError
from vitmm.errors import ConfigError, WeightsError


def test_the_config_beside_a_checkpoint_is_named(tmp_path):
    checkpoint = tmp_path / 'epoch_1.pth'
    state = {'weight': torch.zeros(3, 2)}
    with pytest.raises(WeightsError, match='the work dir holds it'):
        check_state(nn.Linear(2, 3), state, checkpoint)
    for name in ('mine.py', 'mine_test.py'):
        (tmp_path / name).write_text("model = dict(type='A')\n")
    (tmp_path / 'a.py').write_text('import torch\n')  # somebody's script
    with pytest.raises(WeightsError, match=f'or {tmp_path / "mine.py"}, which has them all'):
        check_state(nn.Linear(2, 3), state, checkpoint)


def test_the_first_class_that_differs_is_named():
    check_classes(('cat', 'dog'), ['cat', 'dog'], 'a.pth')
    check_classes((), ['cat'], 'a.pth')
    with pytest.raises(ConfigError, match=r"class 1 is 'dog' there and 'cow' here\."):
        check_classes(['cat', 'dog'], ['cat', 'cow'], 'a.pth')
    with pytest.raises(ConfigError, match=r"on 1 classes .* has 2, .* None there and 'dog' here"):
        check_classes(['cat'], ['cat', 'dog'], 'a.pth')


def test_all_processes_go_on_from_what_the_first_has_found(tmp_path, monkeypatch):
    """A work dir that another machine does not see whole, or at all."""
    there = tmp_path / 'there'
    there.mkdir()
    for epoch in (1, 2):
        torch.save(dict(state_dict={}, meta={}), there / f'epoch_{epoch}.pth')
        os.utime(there / f'epoch_{epoch}.pth', (epoch, epoch))
    sent = []
    monkeypatch.setattr(checkpoints, 'broadcast_object_list', lambda found: sent.append(found[0]))
    assert find_last(there) == there / 'epoch_2.pth' == sent[0]
    monkeypatch.setattr(checkpoints, 'is_main_process', lambda: False)
    told = [there / 'epoch_1.pth', there / 'epoch_3.pth', None, CheckpointError('all broken')]
    monkeypatch.setattr(
        checkpoints, 'broadcast_object_list', lambda found: found.__setitem__(0, told.pop(0))
    )
    assert find_last(there) == there / 'epoch_1.pth'  # though it has a newer one
    with pytest.raises(CheckpointError, match='need the same work dir'):
        find_last(there)
    assert find_last(there) is None
    with pytest.raises(CheckpointError, match='all broken'):
        find_last(there)
