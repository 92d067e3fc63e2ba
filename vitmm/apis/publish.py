"""Make of a checkpoint what others need to use it, and nothing else."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from mmengine.config import Config
from safetensors.torch import save

import vitmm
from vitmm.apis.model_card import write_card
from vitmm.compat.checkpoint import PUBLISHED, PUBLISHED_CONFIG
from vitmm.datasets.atomic import new_folder
from vitmm.inference.stored_model import read_model, task_of
from vitmm.writing import check_writable


def publish(
    checkpoint: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    licence: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder with the weights of a checkpoint, its config and a model card.

    ``model.safetensors`` holds the weights that are tested, those of the average where one was
    kept (EMA), and in its metadata what they are; ``config.py`` is plain and resolved, without
    what belongs to one run; ``README.md`` is the card. ``tools/infer.py`` and ``tools/test.py``
    take the folder.

    Args:
        checkpoint: a ``.pth`` file.
        out: a folder that does not exist or is empty.
        config: a config file; by default the config in the checkpoint.
        licence: of the weights, such as ``'apache-2.0'``, for the card.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        ``out``.

    Raises:
        CheckpointError: the checkpoint is missing, broken or holds code.
        ConfigError: there is no config, or its model predicts nothing (pretraining).
        WeightsError: the weights do not fit the config.
        DataError: ``out`` is there already.
    """
    check_writable(Path(out).absolute().parent, f'{Path(out).name} in')
    stored = read_model(checkpoint, config, options)
    with new_folder(out) as folder:
        model = stored.build()
        task = task_of(model)
        (folder / PUBLISHED_CONFIG).write_text(_plain(stored.config), encoding='utf-8')
        metadata = {
            'format': 'pt',  # which transformers and others look for
            'task': task,
            'config': _name(stored.meta, stored.path),
            'dataset_meta': json.dumps({'classes': stored.classes, 'palette': stored.palette}),
            'vitmm': vitmm.__version__,
            'torch': torch.__version__,
            'timm': timm.__version__,
        }
        content = save(_apart(stored.state), metadata)
        (folder / PUBLISHED).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        card = write_card(stored, model, task, metadata, licence, digest, Path(out).name)
        (folder / 'README.md').write_text(card, encoding='utf-8')
    return Path(out)


def _apart(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each tensor in memory of its own: safetensors refuses to write one under two names."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in state.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = (tensor.clone() if place in seen else tensor).contiguous()
        seen.add(place)
    return apart


def _plain(config: Config) -> str:
    """The config's text without the places of one run."""
    content = {
        key: value
        for key, value in config.to_dict().items()
        if key not in ('work_dir', 'experiment_name')
    }
    content.update(load_from=None, resume=False, launcher='none')
    return Config(content).pretty_text


def _name(meta: Mapping[str, Any], path: Path) -> str:
    """The name of the recipe: MMEngine's of the run, without the time behind it."""
    name = str(meta.get('config') or meta.get('experiment_name') or path.parent.name)
    return re.sub(r'_\d{8}_\d{6}$', '', name)
