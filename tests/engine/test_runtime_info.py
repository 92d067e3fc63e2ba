"""Losses that are read when they are logged: the same log, and no halt between its lines."""

import json
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from vitmm import registry  # noqa: F401  (the scope vitmm)
from vitmm.models.halts.reads import CountReads


class Numbers(Dataset):
    def __len__(self):
        return 23

    def __getitem__(self, index):
        return torch.full((3,), float(index))


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, *images, mode='tensor'):
        found = self.layer(torch.stack(images))
        return dict(loss_a=found.square().mean(), loss_b=found.double().abs().mean())


class ReadsHook(Hook):
    """How many values are read from tensors in each iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.reads = []

    def before_train_iter(self, runner, *args, **kwargs):
        self.mode = CountReads()
        self.mode.__enter__()

    def after_train_iter(self, runner, *args, **kwargs):
        self.mode.__exit__(None, None, None)
        self.reads.append(self.mode.count)


def train(work_dir, ours):
    torch.manual_seed(0)
    counter = ReadsHook()
    runner = Runner(
        Model(),
        str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            sampler=DefaultSampler(Numbers(), shuffle=False),
            dataset=Numbers(),
            num_workers=0,
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(
            type='vitmm.OptimWrapper' if ours else 'OptimWrapper',
            optimizer=dict(type='SGD', lr=1e-4),
            clip_grad=dict(max_norm=1.0),
        ),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=5),
            checkpoint=dict(type='CheckpointHook', interval=7, by_epoch=False),
            **(dict(runtime_info=dict(type='vitmm.RuntimeInfoHook')) if ours else {}),
        ),
        custom_hooks=[counter],
        experiment_name=f'reads_{work_dir.name}',
    )
    runner.train()
    log = Path(runner._log_dir) / 'vis_data' / 'scalars.json'
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    histories = torch.load(work_dir / 'iter_14.pth', weights_only=False)['message_hub']
    return lines, histories['log_scalars'], counter.reads


def test_the_same_log_is_read_in_one_go(tmp_path):
    (lines, histories, reads), (theirs, their_histories, their_reads) = (
        train(tmp_path / name, name == 'ours') for name in ('ours', 'theirs')
    )
    assert len(lines) == len(theirs) >= 4
    for line, other in zip(lines, theirs, strict=True):
        assert line.keys() == other.keys()
        same = line.keys() - {'time', 'data_time'}
        assert {k: line[k] for k in same} == {k: other[k] for k in same}
    for key in ('train/loss_a', 'train/loss_b', 'train/loss', 'train/grad_norm'):
        found, expected = (h[key].data[0] for h in (histories, their_histories))
        assert found.tolist() == expected.tolist() and len(found) == 14, key
    assert min(their_reads) >= 4  # three losses and a norm, or there is nothing to save
    # A line of the log is read in one go (of an epoch's iterations, or of all; or as it ends), and
    # nothing in between; checkpoints read the weights.
    ends = {11, 23}
    logged = {at for at in range(24) if 4 in (at % 5, at % 12 % 5)} | ends
    saved = {6, 13, 20, 23}
    assert all(reads[at] <= 2 for at in logged - saved), reads
    assert not any(reads[at] for at in range(24) if at not in logged | saved), reads
    assert sum(reads) < sum(their_reads) / 2
