"""The last batch of an epoch that has one image, where a batch norm sees one pixel of it."""

from collections.abc import Sized
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, DataLoader

from vitmm.engine.wrapping import bare
from vitmm.errors import ConfigError
from vitmm.registry import HOOKS

_REFUSAL = 'Expected more than 1 value per channel'  # as torch has it


@HOOKS.register_module()
class LoneImageHook(Hook):
    """Ends a training after its first iteration which torch would end after its first epoch.

    Batch norms of pooled maps (PSPNet, DeepLab, UPerNet, a GeM neck) have no statistics of one
    image. mmseg's own recipes draw without end, and never meet one.

    Raises:
        ConfigError: while it trains; says which batch norm, and what to do.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.watching: list[Any] = []
        self.found: list[str] = []

    def before_train(self, runner: Runner) -> None:
        """Watch the first iteration, if the last batch has one image."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop) or not _ends_alone(
            runner.train_dataloader
        ):
            return
        size, compiled = runner.train_dataloader.batch_size, []
        for name, module in bare(runner.model).named_modules():
            if module._compiled_call_impl is not None:  # it would be compiled again without hooks
                compiled.append(f'{name}.')
            shared = isinstance(module, nn.SyncBatchNorm) and get_world_size() > 1
            if isinstance(module, _BatchNorm) and not shared and not name.startswith((*compiled,)):
                self.watching.append(module.register_forward_pre_hook(self._look(name, size)))

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Say what was found."""
        while self.watching:
            self.watching.pop().remove()
        if self.found:
            loader = runner.train_dataloader
            raise ConfigError(
                f'train_dataloader: the last batch of an epoch would be one image '
                f'({len(loader.sampler)} in batches of {loader.batch_size}), and {self.found[0]} '
                'has no statistics of that, a pixel of each image: train_dataloader.drop_last=True '
                'leaves such a batch out, another batch_size has none.'
            )

    def _look(self, name: str, size: int) -> Any:
        def look(module: nn.Module, inputs: tuple) -> None:
            shape = inputs[0].shape
            # Of each channel one value an image: an epoch begins with whole batches. Of tokens,
            # regions and several views there are more.
            if module.training and shape[0] == size and shape[:2].numel() == shape.numel():
                self.found.append(name)

        return look


def one_value(runner: Runner, error: Exception) -> str | None:
    """That a batch norm had one value of each channel, which torch says with its numbers alone.

    Args:
        runner: whose training failed.
        error: with which.

    Returns:
        What is wrong and what to do; None where it is something else.
    """
    if _REFUSAL not in str(error):
        return None
    size = getattr(getattr(runner._train_loop, 'dataloader', None), 'batch_size', None)
    way = 'train_dataloader.batch_size=2 or more, or larger images'
    if size != 1:
        way = 'where that is the last batch, train_dataloader.drop_last=True leaves it out'
    return f'a batch norm of this model saw one value of each channel: {way}. ({error})'


def _ends_alone(loader: DataLoader) -> bool:
    batches = loader.batch_sampler
    if type(batches) is not BatchSampler or batches.drop_last or batches.batch_size < 2:
        return False
    if not isinstance(batches.sampler, Sized):
        return False
    return len(batches.sampler) % batches.batch_size == 1
