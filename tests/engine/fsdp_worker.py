"""One process of the runs in test_fsdp.py: trains one job after the other, in float64.

python fsdp_worker.py JOBS.pkl under torchrun. A job is what ``vitmm.apis.train.train``
takes; what this process saw of it goes into ``<work_dir>/rank<n>.pt``.
"""

import os
import pickle
import sys
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.distributed.tensor import DTensor

from vitmm.apis.train import train
from vitmm.engine.sharding import gather


@HOOKS.register_module()
class InDouble(Hook):
    """Train in float64, where another order of sums hides nothing; and watch."""

    priority = 'HIGHEST'  # before what copies the model

    def before_run(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        model.backbone.register_forward_pre_hook(lambda _, args: (args[0].double(),))
        self.norms = []

    def before_train(self, runner):
        # After the checkpoint was loaded: what training starts from.
        self.start = gather(runner.model.state_dict())

    def after_train_iter(self, runner, *args, **kwargs):
        history = runner.message_hub.log_scalars.get('train/grad_norm')
        if history is not None:
            self.norms.append(float(history.current()))


def main(jobs: list[dict]) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        run(jobs)
    finally:
        torch.set_default_dtype(before)


def run(jobs: list[dict]) -> None:
    import time
    for job in jobs:
        t=time.time()
        job['options'] = {**job['options'], 'default_hooks.double.type': 'InDouble'}
        runner = train(**job)
        (watch,) = (hook for hook in runner.hooks if isinstance(hook, InDouble))
        parameters = list(getattr(runner.model, 'module', runner.model).parameters())
        state = runner.optim_wrapper.optimizer.state
        held = [v for values in state.values() for v in values.values() if v.ndim]
        seen = dict(
            start=watch.start,
            norms=watch.norms,
            whole=sum(p.numel() for p in parameters),
            own=sum(local(p).numel() for p in parameters),
            whole_state=sum(v.numel() for v in held),
            own_state=sum(local(v).numel() for v in held),
            lrs=[group['lr'] for group in runner.optim_wrapper.param_groups],
            end=gather(runner.model.state_dict()),
        )
        print('TIME', job['work_dir'], time.time()-t, file=open('/tmp/mem/times','a'))
        torch.save(seen, Path(job['work_dir']) / f'rank{get_rank()}.pt')


def local(tensor):
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


if __name__ == '__main__':
    os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
    torch.set_num_threads(1)
    main(pickle.loads(Path(sys.argv[1]).read_bytes()))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
