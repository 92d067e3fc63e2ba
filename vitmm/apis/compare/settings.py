"""What a comparison is asked for, and whether it makes sense: before anything is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm

from vitmm.apis.checkpoints import find_last
from vitmm.errors import BackboneError, ConfigError, did_you_mean

MODES = ('train', 'test', 'measure', 'probe')
LAUNCHERS = ('local', 'submitit', 'ray')


@dataclass(frozen=True)
class Settings:
    """See :func:`vitmm.apis.compare.compare.compare` for what each is."""

    recipe: Path
    backbones: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    mode: str = 'train'
    data: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    work_dir: Path = Path('work_dirs/compare')
    checkpoints: tuple[Path, ...] = ()
    metric: str | None = None
    gpus: int = 1
    amp: bool = False
    samples: int = 4
    launcher: str = 'local'
    launcher_options: Mapping[str, Any] = field(default_factory=dict)

    def options_of(self, backbone: str, seed: int | None = None) -> dict[str, Any]:
        """The ``--cfg-options`` of one pairing."""
        options = {**self.options, 'model.backbone.model_name': backbone}
        return options if seed is None else {**options, 'randomness.seed': seed}

    def checkpoint_of(self, backbone: str) -> Path | None:
        """What is tested in the mode ``test``."""
        return dict(zip(self.backbones, self.checkpoints, strict=False)).get(backbone)


def make_settings(
    recipe: str | Path,
    backbones: Sequence[str],
    *,
    seeds: Sequence[int],
    mode: str,
    work_dir: str | Path | None,
    checkpoints: Sequence[str | Path],
    launcher: str,
    **others: Any,
) -> Settings:
    """Check what needs no config to be checked.

    Raises:
        BackboneError: names that timm lacks, all of them in one message.
        ConfigError: anything else that does not fit together.
    """
    if mode not in MODES:
        raise ConfigError(f'--mode is one of {", ".join(MODES)}, not {mode}.')
    if launcher not in LAUNCHERS:
        raise ConfigError(f'--launcher is one of {", ".join(LAUNCHERS)}, not {launcher}.')
    if not backbones or not seeds:
        raise ConfigError('a comparison needs backbones (two or more, to compare) and a seed.')
    for what, values in (('backbone', backbones), ('seed', seeds)):
        twice = sorted({str(value) for value in values if list(values).count(value) > 1})
        if twice:
            raise ConfigError(f'{what} {", ".join(twice)} is named twice.')
    check_names(backbones)
    if mode == 'test' and len(checkpoints) != len(backbones):
        raise ConfigError(
            f'--mode test: one of --checkpoints for each backbone, in their order; there are '
            f'{len(backbones)} backbones and {len(checkpoints)} checkpoints.'
        )
    if mode != 'test' and checkpoints:
        raise ConfigError('--checkpoints are for --mode test.')
    recipe = Path(recipe)
    name = recipe.stem if mode == 'train' else f'{recipe.stem}-{mode}'
    return Settings(
        recipe=recipe,
        backbones=tuple(backbones),
        seeds=tuple(seeds) if mode == 'train' else tuple(seeds)[:1],
        mode=mode,
        work_dir=Path(work_dir or Path('work_dirs/compare') / name).resolve(),
        checkpoints=tuple(_checkpoint(path) for path in checkpoints),
        launcher=launcher,
        **others,
    )


def check_names(backbones: Sequence[str]) -> None:
    """Raise a :class:`BackboneError` that names every backbone timm lacks."""
    known = timm.list_models()
    faults = []
    for name in backbones:
        architecture, _, tag = name.partition('.')
        if ':' in name:  # a hub's, which only the hub knows
            continue
        if architecture not in known:
            faults.append(f"no architecture of timm is called '{name}'.")
            faults[-1] += did_you_mean(architecture, known)
        elif tag and name not in timm.list_pretrained(f'{architecture}.*'):
            tags = [one.partition('.')[2] for one in timm.list_pretrained(f'{architecture}.*')]
            faults.append(
                f"{architecture} has no weights '{tag}', but {', '.join(tags) or 'none'}."
            )
    if faults:
        raise BackboneError(' '.join(faults))


def _checkpoint(path: str | Path) -> Path:
    """A checkpoint, or the last one of a run's folder."""
    path = Path(path).resolve()
    if not path.is_dir():
        if not path.is_file():
            raise ConfigError(f'there is no checkpoint {path}.')
        return path
    found = find_last(path)
    if found is None:
        raise ConfigError(
            f'{path} holds no checkpoint (epoch_*.pth, iter_*.pth): it is no work dir of '
            'tools/train.py, or its training has saved nothing yet.'
        )
    return found
