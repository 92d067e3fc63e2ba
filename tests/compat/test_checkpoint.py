"""What loads, what is refused, and how a refusal reads."""

import os
import pickle
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from vitmm.compat.checkpoint import (
    CheckpointError,
    allow_mmengine_classes,
    load_checkpoint_file,
    use_in_mmengine,
)

SCHEDULERS = [
    dict(type='OneCycleLR', eta_max=0.1, total_steps=8),
    dict(type='ReduceOnPlateauLR', monitor='acc', rule='greater'),
    dict(type='CosineRestartLR', periods=[1, 3], restart_weights=[1, 1], eta_min=0),
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=4),
    dict(type='CosineAnnealingMomentum', T_max=3),
]


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'checkpoint.pth'


def test_round_trip_of_what_mmengine_stores(file):
    history = HistoryBuffer([1.0, 2.0, 3.0], [1, 1, 1])
    torch.save(
        dict(
            state_dict=OrderedDict(weight=torch.rand(3)),
            meta=dict(epoch=2, dataset_meta=ConfigDict(classes=('a', 'b'), extra=dict(x=1))),
            message_hub=dict(log_scalars=OrderedDict(loss=history)),
            numbers=[np.float64(0.5), np.float32(0.25), np.int64(3), np.bool_(True)],
            arrays=[np.arange(3), np.ones((2, 2), dtype=np.float32), np.zeros(2, dtype=bool)],
        ),
        file,
    )
    content = load_checkpoint_file(file)
    loss = content['message_hub']['log_scalars']['loss']
    assert loss.mean() == 2 and loss.statistics('max') == 3
    assert content['meta']['dataset_meta'].extra.x == 1
    assert content['numbers'] == [0.5, 0.25, 3, True]
    assert [a.dtype for a in content['arrays']] == [np.int64, np.float32, bool]


def test_the_package_that_numpy_1_26_forwards_from(monkeypatch):
    """It has the new place of multiarray, and shows it to nobody who did not import it."""
    monkeypatch.setattr(np, '_core', ModuleType('numpy._core'), raising=False)
    allow_mmengine_classes()


def test_safetensors(tmp_path):
    from safetensors.torch import save_file

    file = tmp_path / 'weights.safetensors'
    save_file({'weight': torch.arange(3.0)}, file)
    assert load_checkpoint_file(file)['weight'].tolist() == [0, 1, 2]
    assert load_checkpoint_file(file, 'meta')['weight'].is_meta
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match=r'weights\.safetensors cannot be read'):
        load_checkpoint_file(file)


class Runs:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Tricky:
    """Reaches for ``os.system`` through ``getattr``, as a method of a class would be stored."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return getattr, (self.owner, self.name)


@pytest.mark.parametrize('old_format', [False, True])
@pytest.mark.parametrize(
    ('payload', 'named'),
    [
        (lambda mark: Runs(os.system, f'touch {mark}'), 'system'),
        (lambda mark: Runs(exec, f'open({str(mark)!r}, "w")'), 'exec'),
        (lambda mark: Runs(eval, f'open({str(mark)!r}, "w")'), 'eval'),
        (lambda mark: Tricky(HistoryBuffer, '__init__'), 'HistoryBuffer.__init__'),
        (lambda mark: Tricky(HistoryBuffer, '__class__'), 'HistoryBuffer.__class__'),
        (lambda mark: Tricky(np.ndarray, 'tofile'), 'ndarray.tofile'),
        (lambda mark: Runs(np.load, str(mark)), 'load'),
    ],
)
def test_code_is_refused_and_does_not_run(file, tmp_path, payload, named, old_format):
    mark = tmp_path / 'mark'
    content = dict(state_dict={}, meta=payload(mark))
    torch.save(content, file, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(CheckpointError, match='could run code') as caught:
        load_checkpoint_file(file)
    assert named in str(caught.value) and str(file) in str(caught.value)
    assert '\n' not in str(caught.value) and 'weights_only' not in str(caught.value)
    assert not mark.exists()


def test_a_stored_function_cannot_be_called(file):
    """MMEngine's own functions may be named in a checkpoint; none of them may be run by it."""

    class Calls:
        def __reduce__(self):
            return HistoryBuffer.mean, (HistoryBuffer([1.0], [1]),)

    torch.save(dict(state_dict=Calls()), file)
    with pytest.raises(CheckpointError, match='could run code'):
        load_checkpoint_file(file)


def test_plain_pickle_is_refused(file):
    file.write_bytes(pickle.dumps(dict(state_dict=Runs(os.system, 'true'))))
    with pytest.raises(CheckpointError):
        load_checkpoint_file(file)


@pytest.mark.parametrize('part', [0, 10, 0.3, 0.9, -1])
@pytest.mark.parametrize('old_format', [False, True])
def test_truncated(file, part, old_format):
    content = dict(state_dict=dict(weight=torch.rand(500)))
    torch.save(content, file, _use_new_zipfile_serialization=not old_format)
    whole = file.read_bytes()
    file.write_bytes(whole[: part if isinstance(part, int) else int(len(whole) * part)])
    with pytest.raises(CheckpointError, match='truncated, damaged or no checkpoint') as caught:
        load_checkpoint_file(file)
    assert '\n' not in str(caught.value)


def test_a_text_is_no_checkpoint(file):
    file.write_text('hello world')
    with pytest.raises(CheckpointError, match=r'or no checkpoint \(\w*[a-z]{2}'):
        load_checkpoint_file(file)


def test_missing_folder_and_not_a_dict(file, tmp_path):
    with pytest.raises(CheckpointError, match='does not exist'):
        load_checkpoint_file(file)
    with pytest.raises(CheckpointError, match='is a folder'):
        load_checkpoint_file(tmp_path)
    torch.save(torch.rand(2), file)
    with pytest.raises(CheckpointError, match='holds a Tensor, not a dict'):
        load_checkpoint_file(file)


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs, mode='loss'):
        out = self.layer(torch.stack(inputs))
        return dict(loss=out.square().mean()) if mode == 'loss' else [out]


class Points(torch.utils.data.Dataset):
    metainfo = ConfigDict(classes=('a', 'b'), palette=[(1, 2, 3)], extra=dict(reduce=False))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([index, 1.0]))


class Accuracy(BaseMetric):
    default_prefix = None

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(acc=np.float64(0.5), other=np.float32(0.25), count=3)


def runner(work_dir, scheduler, epochs, **options):
    def loader(shuffle):
        return dict(
            batch_size=2, num_workers=0, dataset=Points(),
            sampler=dict(type='DefaultSampler', shuffle=shuffle),
        )  # fmt: skip

    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader=loader(True),
        val_dataloader=loader(False),
        val_evaluator=[Accuracy()],
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
        param_scheduler=[scheduler],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, save_best='acc', rule='greater'),
            logger=dict(type='LoggerHook', interval=1),
        ),
        custom_hooks=[dict(type='EMAHook')],
        randomness=dict(seed=1),
        default_scope='mmengine',
        experiment_name=f'{work_dir.name}-{epochs}-{options.get("resume", False)}',
        log_level='ERROR',
        **options,
    )


@pytest.mark.parametrize('scheduler', SCHEDULERS, ids=lambda cfg: cfg['type'])
def test_a_run_resumes(tmp_path, scheduler):
    use_in_mmengine()
    first = runner(tmp_path, scheduler, 2)
    first.train()
    for name in ('epoch_2.pth', 'best_acc_epoch_1.pth'):
        content = load_checkpoint_file(tmp_path / name)
        assert {'state_dict', 'meta', 'message_hub', 'ema_state_dict'} <= content.keys()
    second = runner(tmp_path, scheduler, 3, resume=True)
    second.train()
    assert second.epoch == 3
    losses = second.message_hub.get_scalar('train/loss')
    assert len(losses.data[0]) == 12 and losses.statistics('mean', 4) >= 0


def test_mmengine_refuses_code_with_our_message(tmp_path):
    use_in_mmengine()
    torch.save(dict(state_dict=Runs(os.system, 'true')), tmp_path / 'bad.pth')
    run = runner(tmp_path, SCHEDULERS[0], 1, load_from=str(tmp_path / 'bad.pth'))
    with pytest.raises(CheckpointError, match='could run code'):
        run.train()
