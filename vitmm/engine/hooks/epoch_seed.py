"""The same random numbers in epoch k, whether training ran through or was resumed."""

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from vitmm.engine.seeding import seed_everything, tell_workers
from vitmm.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed every generator at the start of each training epoch.

    Checkpoints hold no generator states. With the seed of an epoch made of the run's seed, the
    epoch and the rank, four epochs straight and two epochs resumed to four are the same training,
    bit for bit on a CPU. (But for what a transform keeps in a worker that stays, as mmdet's
    ``CachedMosaic`` does; ``persistent_workers=False`` ends it with its epoch.)
    """

    priority = 'VERY_LOW'  # after hooks that change the data, and may end its workers

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed from (seed of the run, epoch, rank)."""
        seed_everything(runner.seed, runner.epoch, get_rank())
        if isinstance(runner.train_loop, EpochBasedTrainLoop):  # others have begun their pass
            tell_workers(runner.train_dataloader)

    def before_val_epoch(self, runner: Runner) -> None:
        """Let workers that stay draw as new ones would."""
        tell_workers(runner.val_dataloader)
