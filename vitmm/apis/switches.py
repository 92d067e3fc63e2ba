"""What one switch of a command line changes in a config, so that the dumped config has it too."""

from mmengine.config import Config

from vitmm.errors import ConfigError


def use_amp(config: Config) -> None:
    """Train, validate and test under autocast to bfloat16, losses in float32.

    Raises:
        ConfigError: an optimiser wrapper of another kind.
    """
    kind = config.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('vitmm.OptimWrapper', 'OptimWrapper', 'AmpOptimWrapper'):
        raise ConfigError(f'--amp works with optim_wrapper.type vitmm.OptimWrapper, not {kind}.')
    config.optim_wrapper.pop('loss_scale', None)  # bfloat16 has float32's range
    config.optim_wrapper.update(type='vitmm.OptimWrapper', dtype='bfloat16')
    test_with_amp(config)


def test_with_amp(config: Config) -> None:
    """Validate and test under autocast to bfloat16, scores and boxes in float32."""
    for loop, kind in (('val_cfg', 'ValLoop'), ('test_cfg', 'TestLoop')):
        if config.get(loop):
            config[loop].update(type=f'vitmm.{kind}', fp16=True)
    _add_hook(config, 'FullPrecisionHook')


def use_compile(config: Config) -> None:
    """Compile the backbone's blocks: :class:`vitmm.CompileHook`."""
    _add_hook(config, 'CompileHook')


def use_channels_last(config: Config) -> None:
    """Convolutions with channels last: :class:`vitmm.ChannelsLastHook`."""
    _add_hook(config, 'ChannelsLastHook')


def _add_hook(config: Config, kind: str) -> None:
    hooks = config.setdefault('custom_hooks', [])
    if not any(hook.get('type') == f'vitmm.{kind}' for hook in hooks):
        hooks.append(dict(type=f'vitmm.{kind}'))
