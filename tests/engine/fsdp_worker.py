"""One process of the runs in test_fsdp.py: trains one job after the other, in float64.

python fsdp_worker.py JOBS.pkl under torchrun. A job is what ``vitmm.apis.train.train`` takes; what
this process saw of it goes into ``<work_dir>/rank<n>.pt``.
"""

import pickle
import sys
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.distributed.tensor import DTensor

from vitmm.apis.train import train
from vitmm.collector import starting
from vitmm.compat.distributed import end_dist
from vitmm.engine.sharding import gather


@HOOKS.register_module(force=True)  # the tests have imported this, too
class Watch(Hook):
    """Give the model its images in float64, and remember what training starts from."""

    def before_run(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        model.backbone.register_forward_pre_hook(lambda _, args: (args[0].double(),))

    def before_train(self, runner):
        # After the checkpoint was loaded.
        state = gather(runner.model.state_dict())
        self.start = {name: value.clone() for name, value in state.items() if value is not None}


@contextmanager
def float64():
    """Where another order of sums hides nothing."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def main(jobs: list[dict]) -> None:
    for job in jobs:
        job['options'] = {**job['options'], 'default_hooks.watch.type': 'Watch'}
        with float64(), starting():
            runner = train(**job)
        (watch,) = (hook for hook in runner.hooks if isinstance(hook, Watch))
        parameters = list(getattr(runner.model, 'module', runner.model).parameters())
        state = runner.optim_wrapper.optimizer.state
        held = [v for values in state.values() for v in values.values() if v.ndim]
        seen = dict(
            start=watch.start,
            end=gather(runner.model.state_dict()),
            norms=list(runner.message_hub.get_scalar('train/grad_norm').data[0]),
            whole=sum(p.numel() for p in parameters),
            own=sum(local(p).numel() for p in parameters),
            own_state=sum(local(v).numel() for v in held),
        )
        torch.save(seen, Path(job['work_dir']) / f'rank{get_rank()}.pt')


def local(tensor):
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


if __name__ == '__main__':
    torch.set_num_threads(1)
    main(pickle.loads(Path(sys.argv[1]).read_bytes()))
    end_dist()
