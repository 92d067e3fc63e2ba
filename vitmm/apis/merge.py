"""Turn a checkpoint of a LoRA run into one of the plain model."""

import io
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from vitmm.compat.checkpoint import load_checkpoint_file
from vitmm.config import load_config
from vitmm.config.stored import configs_in, read_stored, without
from vitmm.errors import ConfigError, WeightsError
from vitmm.models.backbones.lora import merge
from vitmm.registry import MODELS
from vitmm.whole_files import write_whole
from vitmm.writing import check_writable, writing

_PREFIX = 'backbone.'


def merge_checkpoint(checkpoint: str | Path, out: str | Path | None = None) -> Path:
    """Merge the adapters of a checkpoint into timm's weights; write it, and its config beside it.

    What is written has the keys of the same model without LoRA, for its ordinary recipe, and
    gives the same outputs up to rounding. It is there for testing and for fine-tuning from; the
    optimiser's state is that of the adapters, and stays behind.

    Args:
        checkpoint: of a run with ``model.backbone.lora``. Its config is read from it, or, where
            it holds none, from the only ``.py`` file beside it.
        out: a ``.pth`` file; ``merged.pth`` beside the checkpoint by default. Its config goes
            beside it, under the same name with ``.py``.

    Returns:
        ``out``.

    Raises:
        ConfigError: no config, or one without ``model.backbone.lora``.
        WeightsError: the checkpoint does not fit its config.
        CheckpointError: the file is missing, broken or holds code.
        BackboneError: peft is missing.
    """
    checkpoint = Path(checkpoint)
    out = Path(out) if out is not None else checkpoint.with_name('merged.pth')
    if out.suffix != '.pth' or out.resolve() == checkpoint.resolve():
        raise ConfigError(f'out: the merged checkpoint is another .pth file, not {out}.')
    check_writable(out.parent, f'{out.name} in')
    content = load_checkpoint_file(checkpoint)
    meta = content.get('meta', {})
    config = read_stored(meta['cfg']) if 'cfg' in meta else _config_beside(checkpoint)
    settings = config.get('model', {}).get('backbone', {})
    if settings.get('lora') is None:
        raise ConfigError(
            f'{checkpoint} comes from a config without model.backbone.lora: nothing to merge.'
        )
    config = _plain(config)
    merged = {
        'meta': {**meta, 'cfg': Config(config).pretty_text},
        'state_dict': _merge(content.get('state_dict', content), settings, checkpoint),
    }
    buffer = io.BytesIO()
    torch.save(merged, buffer)
    with writing((f'{out.name} in', out.parent)):
        write_whole(out.with_suffix('.py'), merged['meta']['cfg'])
        write_whole(out, buffer.getvalue())
    return out


def _config_beside(checkpoint: Path) -> dict[str, Any]:
    found = configs_in(checkpoint.parent) or list(checkpoint.parent.glob('*.py'))
    if len(found) != 1:
        raise ConfigError(
            f'{checkpoint} holds no config, and there is not one resolved config beside it but '
            f'{len(found)}: put it into a folder with the resolved config of its run.'
        )
    return load_config(found[0]).to_dict()


def _merge(state: dict, settings: dict[str, Any], checkpoint: Path) -> dict:
    backbone = MODELS.build({**settings, 'pretrained': False})
    own = {key.removeprefix(_PREFIX): v for key, v in state.items() if key.startswith(_PREFIX)}
    try:
        backbone.load_state_dict(own)
    except RuntimeError as error:
        reason = ' '.join(str(error).split())
        raise WeightsError(f'{checkpoint} does not fit its own config: {reason}') from error
    merge(backbone)
    return {
        **{_PREFIX + key: value for key, value in backbone.state_dict().items()},
        **{key: value for key, value in state.items() if not key.startswith(_PREFIX)},
    }


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """The config of the same model without LoRA, to begin with instead of to go on with."""
    config = without(config, 'model.backbone.lora')
    config.update(load_from=None, resume=False)
    hooks = config.get('default_hooks') or {}
    config['default_hooks'] = {name: hook for name, hook in hooks.items() if not _merges(hook)}
    config['custom_hooks'] = [h for h in config.get('custom_hooks') or [] if not _merges(h)]
    return config


def _merges(hook: dict[str, Any] | None) -> bool:
    return bool(hook) and hook.get('type') == 'vitmm.MergeLoRAHook'
