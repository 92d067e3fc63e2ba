"""Changing a model that a distributed wrapper holds already."""

from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def bare(model: nn.Module) -> nn.Module:
    """The model inside its wrappers (DDP, test-time augmentation), or itself."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def wrap_anew(runner: Runner) -> None:
    """Make the wrapper again, which noted what gradients there are and how they lie in memory."""
    if is_model_wrapper(runner.model):
        model, training = bare(runner.model), runner.model.training
        runner.model = None
        runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        runner.model.train(training)
