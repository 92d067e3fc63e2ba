"""The plain model at the end of a LoRA run."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from vitmm.errors import ConfigError
from vitmm.registry import HOOKS


@HOOKS.register_module()
class MergeLoRAHook(Hook):
    """After training, write ``merged.pth`` and ``merged.py`` beside the last checkpoint.

    See :func:`vitmm.apis.merge.merge_checkpoint`; ``tools/merge_lora.py`` does so for any other.

    Raises:
        ConfigError: before training, if ``model.backbone.lora`` is not set, or if no checkpoint
            would be saved.
    """

    priority = 'LOWEST'  # behind the hook that saves

    def before_train(self, runner: Runner) -> None:
        """Refuse now what would fail later."""
        if runner.cfg.model.backbone.get('lora') is None:
            raise ConfigError('MergeLoRAHook has nothing to merge: set model.backbone.lora.')
        if not any(isinstance(hook, CheckpointHook) for hook in runner.hooks):
            raise ConfigError('MergeLoRAHook merges the last checkpoint, and no hook saves any.')

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Merge the checkpoint that was saved last."""
        from vitmm.apis.merge import merge_checkpoint  # which imports this package

        last = runner.message_hub.get_info('last_ckpt')
        merged = merge_checkpoint(last, Path(last).with_name('merged.pth'))
        runner.logger.info(f'LoRA merged into {merged}; its config is {merged.with_suffix(".py")}')
