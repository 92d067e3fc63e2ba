"""The resolved config of each backbone: kept, compared with what was kept, told apart."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from vitmm.apis.compare.jobs import folder_name
from vitmm.apis.compare.probe import task_of
from vitmm.apis.compare.settings import Settings
from vitmm.config import load_config, resolve
from vitmm.config.kinds import kind_of
from vitmm.config.load import merge_options
from vitmm.config.top_level import check_options
from vitmm.errors import ConfigError
from vitmm.whole_files import write_whole

# What may differ between two parts of a comparison without making them two: it is the machine's.
_MACHINE = re.compile(
    r'(^|\.)(num_workers|pin_memory|persistent_workers|launcher|work_dir|local_rank)$'
)


def resolve_one(settings: Settings, backbone: str) -> Config:
    """The resolved config of a backbone, after a look at whether it can be compared.

    Raises:
        ConfigError: a recipe without a backbone of timm's, or with nothing to validate.
        VitmmError: what :func:`vitmm.config.resolve` raises.
    """
    loaded = load_config(settings.recipe, settings.data)
    plain = loaded.to_dict()
    merge_options(loaded, settings.options, settings.recipe)
    if not loaded.get('test_evaluator') or not loaded.get('test_dataloader'):
        raise ConfigError(
            f'{settings.recipe} has no test_evaluator and test_dataloader: there is no metric to '
            'compare by (pretraining is compared by the recipe that its weights are for).'
        )
    part = loaded.get('model', {}).get('backbone', {})
    if kind_of(part) != 'TimmBackbone':
        raise ConfigError(
            f'{settings.recipe} has model.backbone.type {part.get("type") or "none"}: only '
            'recipes with vitmm.TimmBackbone can be compared backbone by backbone.'
        )
    check_options(plain, settings.options, settings.recipe)
    if settings.mode == 'probe':
        task_of(loaded)  # raises before anything is written or run
    options = settings.options_of(backbone)
    return resolve(load_config(settings.recipe, settings.data, options))


def flatten(value: Any, path: str = '') -> dict[str, Any]:
    """A nested config as ``{'model.backbone.model_name': 'resnet18'}``; lists stay whole."""
    if isinstance(value, Mapping) and value:
        found = {}
        for key, inner in value.items():
            found |= flatten(inner, f'{path}.{key}' if path else str(key))
        return found
    return {path: value}


def differences(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The keys whose values are not the same in all flat configs.

    Args:
        configs: ``{backbone: flat config}``.

    Returns:
        ``{key: {backbone: value}}``, keys in order; a backbone that lacks the key is left out.
    """
    keys = sorted({key for config in configs.values() for key in config})
    found = {}
    for key in keys:
        values = {name: config[key] for name, config in configs.items() if key in config}
        first = next(iter(values.values()))
        if len(values) < len(configs) or any(value != first for value in values.values()):
            found[key] = values
    return found


def keep(settings: Settings, backbone: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Write a flat config into the backbone's folder; compare with the one that is there.

    Raises:
        ConfigError: what is in the folder was made with other settings.
    """
    # Through text and back: what was read from a file and what was not are then the same.
    flat = json.loads(json.dumps(config, default=str))
    file = settings.work_dir / folder_name(backbone) / 'config.json'
    if file.exists():
        changed = differences({'was': json.loads(file.read_text()), 'is': flat})
        changed = {key: both for key, both in changed.items() if not _MACHINE.search(key)}
        if changed:
            told = [
                f'{key} was {was} and is {now}'
                for key, both in _by_weight(changed, settings.options)[:3]
                for was, now in [_shortened(both.get('was'), both.get('is'))]
            ]
            more = f', and {len(changed) - 3} more' if len(changed) > 3 else ''
            raise ConfigError(
                f'{settings.work_dir} holds a comparison with other settings: {"; ".join(told)}'
                f'{more}. Two cannot share a folder: give another --work-dir, or remove this one.'
            )
    write_whole(file, json.dumps(flat))
    return flat


def _by_weight(
    changed: Mapping[str, dict], options: Mapping[str, Any]
) -> Sequence[tuple[str, dict]]:
    """What was typed, then what stands at the top of a config: other keys follow from it."""
    return sorted(
        changed.items(), key=lambda item: (item[0] not in options, item[0].count('.'), item[0])
    )


def _shortened(*values: Any) -> list[str]:
    """Texts of at most 60 characters, from where they begin to differ."""
    texts = [str(value) for value in values]
    if max(map(len, texts)) > 60:
        pairs = enumerate(zip(*texts, strict=False))
        same = next((number for number, pair in pairs if len({*pair}) > 1), 0)
        texts = [f'…{text[same - 10 :]}' if same > 20 else text for text in texts]
    return [text if len(text) <= 60 else f'{text[:60]}…' for text in texts]


def write_plan(settings: Settings) -> None:
    """Note whose folder it is; see that it is not another comparison's.

    Raises:
        ConfigError: it holds a comparison of another recipe, data set or mode.
    """
    plan = {
        'recipe': str(settings.recipe),
        'data': settings.data,
        'mode': settings.mode,
        'amp': settings.amp,
        'gpus': settings.gpus,
    }
    file = Path(settings.work_dir) / 'plan.json'
    if file.exists():
        before = json.loads(file.read_text())
        for key, value in plan.items():
            if before.get(key) != value:
                raise ConfigError(
                    f'{settings.work_dir} holds a comparison with {key} {before.get(key)}, not '
                    f'{value}. Two cannot share a folder: give another --work-dir, or remove this '
                    'one.'
                )
    write_whole(file, json.dumps(plan, indent=1))
