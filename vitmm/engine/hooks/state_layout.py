"""A training that goes on with its weights in another layout."""

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from vitmm.engine.optim.layout import lay_as_weights


class StateLayoutHook(Hook):
    """Calls :func:`vitmm.engine.optim.layout.lay_as_weights` once the weights lie as they train."""

    priority = 'LOWEST'  # behind ChannelsLastHook

    def before_train(self, runner: Runner) -> None:
        """For every optimiser."""
        wrapper = runner.optim_wrapper
        many = isinstance(wrapper, OptimWrapperDict)
        for one in wrapper.values() if many else (wrapper,):
            lay_as_weights(one.optimizer)
