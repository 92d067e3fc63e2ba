"""Convolutions in the layout that they are fastest in."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from vitmm.engine.wrapping import wrap_anew
from vitmm.models.halts.avoiding import replace
from vitmm.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the weights of convolutions, and so their inputs and outputs, with channels last.

    https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html. Shapes, results and
    checkpoints stay the same. It pays for models of convolutions, ConvNeXt foremost, whose norms
    are over the channels; a plain ViT has one convolution, and gains nothing.

    On a CPU batch norms train in the other layout: in this one torch sums up pixel by pixel in
    single precision, which leaves gradients wrong by 1e-3 and networks behind.
    """

    def before_train(self, runner: Runner) -> None:
        """Change the layout of the model's weights, in place, once they have their values.

        Random numbers are drawn in the order of the memory: earlier, the model would begin as
        another one.
        """
        runner.model.to(memory_format=torch.channels_last)
        normalise_by_planes(runner.model)
        wrap_anew(runner)

    def before_test(self, runner: Runner) -> None:
        """Likewise."""
        runner.model.to(memory_format=torch.channels_last)


def normalise_by_planes(model: nn.Module) -> None:
    """Let batch norms on a CPU see maps (N, C, H, W), and their gradients, plane by plane."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            replace(module, 'forward', _normalise)


def _normalise(norm: _BatchNorm, maps: torch.Tensor) -> torch.Tensor:
    if maps.device.type != 'cpu' or not norm.training:
        return type(norm).forward(norm, maps)
    normalised = type(norm).forward(norm, maps.contiguous())
    if normalised.requires_grad:
        normalised.register_hook(torch.Tensor.contiguous)
    return normalised
