"""Convolutions in the layout that they are fastest in."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from vitmm.engine.wrapping import wrap_anew
from vitmm.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the weights of convolutions, and so their inputs and outputs, with channels last.

    https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html. Shapes, results and
    checkpoints stay the same. It pays for models of convolutions, ConvNeXt foremost, whose norms
    are over the channels; a plain ViT has one convolution, and gains nothing.
    """

    def before_train(self, runner: Runner) -> None:
        """Change the layout of the model's weights, in place, once they have their values.

        Random numbers are drawn in the order of the memory: earlier, the model would begin as
        another one.
        """
        runner.model.to(memory_format=torch.channels_last)
        wrap_anew(runner)

    def before_test(self, runner: Runner) -> None:
        """Likewise."""
        runner.model.to(memory_format=torch.channels_last)
