"""One process of the run in test_distributed.py: trains a line and stores what it ends with."""

import sys
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from vitmm.compat.distributed import cpu_wrapper_cfg, end_dist, init_dist
from vitmm.engine.hooks.sync_statistics import SyncStatisticsHook


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2, momentum=None)  # the plain mean of all batches
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.layer(self.norm(torch.stack(inputs))).square().mean())


class Points(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([float(index), 1.0]))


def main(folder: Path) -> None:
    init_dist('pytorch')
    runner = Runner(
        model=Line(),
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=2, num_workers=0, dataset=Points(),
            sampler=dict(type='DefaultSampler', shuffle=True),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[SyncStatisticsHook()],
        cfg=dict(model_wrapper_cfg=cpu_wrapper_cfg()),
        launcher='pytorch',
        randomness=dict(seed=0),
        default_scope='mmengine',
        log_level='ERROR',
    )  # fmt: skip
    before = runner.model.module.layer.weight.detach().clone()
    runner.train()
    state = runner.model.module.state_dict()
    assert not torch.equal(before, state['layer.weight'])
    torch.save(state, folder / f'rank_{get_rank()}.pt')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
    end_dist()
