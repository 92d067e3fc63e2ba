"""Checkpoints load with ``weights_only=True``: tensors, plain values and a few named classes.

torch >= 2.6 refuses to unpickle anything else, and MMEngine stores its logs beside the weights.
So exactly the classes that it stores are allowed here, and nothing that could run code.

Can go when MMEngine stores plain values only, or allows its own classes.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitmm.errors import VitmmError

NUMBERS = ('bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64',
           'float16', 'float32', 'float64')  # fmt: skip
# The weights and the config in a folder that tools/publish_model.py wrote.
PUBLISHED, PUBLISHED_CONFIG = 'model.safetensors', 'config.py'


class CheckpointError(VitmmError, RuntimeError):
    """A checkpoint is missing, damaged, refused or of another kind; the message says which."""


class _Name:
    """Stands for a class of which a checkpoint may name a function, and nothing else."""

    def __init__(self, functions: tuple[str, ...]) -> None:
        self.functions = functions


# OneCycleLR stores its annealing function as an attribute of this class.
_ONE_CYCLE_PATH = 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'
_ONE_CYCLE = _Name(('_annealing_cos', '_annealing_linear'))
_STATISTICS = ('min', 'max', 'mean', 'current')


def allow_mmengine_classes() -> None:
    """Allow what MMEngine's checkpoints hold: log histories, numpy numbers and arrays, ConfigDict.

    A pickled function of a class reads ``getattr(cls, name)``. ``getattr`` itself would open
    every door, so that a checkpoint which asks for it gets ``_stored_function`` instead.
    """
    from mmengine.config import ConfigDict
    from mmengine.logging import HistoryBuffer

    allowed = [HistoryBuffer, ConfigDict, np.ndarray, np.dtype]
    allowed += {type(np.dtype(name)) for name in NUMBERS}
    for value in (np.zeros(1), np.float64(1)):
        # numpy 2 moved the module; a checkpoint names the one of the numpy that wrote it.
        function = value.__reduce__()[0]
        allowed += [
            (function, f'numpy.{core}.multiarray.{function.__name__}') for core in ('core', '_core')
        ]
    allowed += [(_stored_function, 'builtins.getattr'), (_ONE_CYCLE, _ONE_CYCLE_PATH)]
    torch.serialization.add_safe_globals(allowed)


def _stored_function(owner: Any, name: str) -> Any:
    """The functions that MMEngine's own objects hold, by name; no other attribute of anything."""
    from mmengine.logging import HistoryBuffer

    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    if owner is _ONE_CYCLE and name in _ONE_CYCLE.functions:
        from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

        return getattr(OneCycleParamScheduler, name)
    raise CheckpointError(f'GLOBAL getattr:{getattr(owner, "__name__", owner)}.{name}')


def load_checkpoint_file(path: str | Path, map_location: Any = 'cpu') -> dict:
    """Read a ``.pth`` or ``.safetensors`` file without running any code that it may carry.

    Args:
        path: a local file, or a folder that ``tools/publish_model.py`` wrote.
        map_location: where its tensors go, as in ``torch.load``.

    Returns:
        What the file holds: a training checkpoint, or a plain dict of tensors.

    Raises:
        CheckpointError: no such file, truncated or damaged, with code inside, or not a dict.
    """
    path = weights_file(path)
    if not path.is_file():
        kind = 'is a folder, not a file' if path.is_dir() else 'does not exist'
        raise CheckpointError(f'Checkpoint {path} {kind}.')
    try:
        if path.suffix == '.safetensors':
            content = _load_safetensors(path, map_location)
        else:
            content = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # torch and pickle raise a dozen types for a damaged file
        raise CheckpointError(_explain(path, error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'Checkpoint {path} holds a {type(content).__name__}, not a dict of weights.'
        )
    return content


def weights_file(path: str | Path) -> Path:
    """The file of weights that ``path`` is, or that it holds if it is a published folder."""
    path = Path(path)
    return path / PUBLISHED if (path / PUBLISHED).is_file() else path


def use_in_mmengine() -> None:
    """Make MMEngine (``load_from``, ``resume``) read local files by ``load_checkpoint_file``.

    Not part of ``import vitmm``, because MMEngine's runner takes seconds to import; call it
    before a Runner is built.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    def load_from_local(filename: str, map_location: Any = None) -> dict:  # logged by its name
        content = load_checkpoint_file(Path(filename).expanduser(), map_location)
        if all(isinstance(value, torch.Tensor) for value in content.values()):
            return {'state_dict': content}  # hooks look for the weights there
        return content

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)


def _load_safetensors(path: Path, map_location: Any) -> dict:
    from safetensors.torch import load_file

    tensors = load_file(path)
    return (
        tensors
        if map_location is None
        else {name: tensor.to(map_location) for name, tensor in tensors.items()}
    )


def _explain(path: Path, error: Exception) -> str:
    """One message for whatever went wrong while reading."""
    text = str(error)
    refused = re.search(r'GLOBAL (\S+)', text)
    if refused or 'unrecognized function' in text or 'allowlisted' in text:
        name = refused.group(1) if refused else 'a call'
        return (
            f'Checkpoint {path} is refused: it holds {name}, which could run code when loaded. '
            'Only tensors, plain values and MMEngine logs are read. If you trust its source, '
            'convert it once where it was made: torch.save(checkpoint["state_dict"], ...).'
        )
    # torch's advice to read such a file without protection is not ours.
    torchs = re.search(r'WeightsUnpickler error:\s*(.+)', text)
    reason = torchs[1] if torchs else (text.splitlines() or [''])[0]
    if not re.search('[a-z]{2}', reason):  # a KeyError's is a number
        reason = f'{type(error).__name__} {reason}'.strip()
    return (
        f'Checkpoint {path} cannot be read: it is truncated, damaged or no checkpoint ({reason}).'
    )
