"""What one switch of a command line changes in a config, so that the dumped config has it too."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from vitmm.apis.flipped_views import add_flipped_views
from vitmm.apis.metric_names import listed
from vitmm.config.kinds import kind_of
from vitmm.datasets.sources import leaves
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


def test_with_tta(config: Config) -> None:
    """Test by the config's ``tta_pipeline`` and ``tta_model``, which wraps the model.

    A config of detection or classification that names neither is tested on images and their
    mirror images: :func:`vitmm.apis.flipped_views.add_flipped_views`.

    Raises:
        ConfigError: it has none, or its model cuts objects out.
    """
    add_flipped_views(config)
    if not (config.get('tta_model') and config.get('tta_pipeline')):
        raise ConfigError(
            'tta: the config has no tta_model and tta_pipeline: leave --tta out, or add them as '
            'configs/_base_/runtime/ has them (OpenMMLab has none for depth).'
        )
    evaluators = listed(config.get('test_evaluator'))
    measured = [kind for one in evaluators for kind in listed(one.get('metric'))]
    if config.model.get('data_preprocessor', {}).get('pad_mask') or 'segm' in measured:
        raise ConfigError(
            'tta: mmdet joins the boxes of augmented images, not the masks that this model gives; '
            'leave --tta out.'
        )
    loader = config.get('test_dataloader') or config.get('val_dataloader')
    for dataset in leaves(loader.dataset) if loader else ():
        dataset.pipeline = config.tta_pipeline
    joined = dict(config.tta_model)
    if kind_of(joined) == 'AverageClsScoreTTA':
        joined['type'] = 'vitmm.AverageClsScoreTTA'  # whose labels follow the scores
    config.model = dict(**joined, module=config.model)
    # What a checkpoint holds is the average already; the hook would not find its own weights for
    # the wrapped model, say nothing, and test random ones.
    hooks = config.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if averages(hook)]:
        del hooks[name]
    config.custom_hooks = [one for one in config.get('custom_hooks') or () if not averages(one)]


def averages(hook: Any) -> bool:
    """Whether a hook of a config, or one that is made, averages the weights."""
    name = kind_of(hook) if isinstance(hook, Mapping) else type(hook).__name__
    return name == 'EMAHook'


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
