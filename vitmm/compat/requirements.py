"""Is there an mmcv that mmdet and mmsegmentation accept, and is it the compiled one?

Looks at files and package metadata only: importing mmcv here would cost a second and would
fail in the very cases that this file has to explain.

Can go when mmcv publishes wheels for today's torch: then setup.py can simply require it.
"""

import re
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from vitmm.errors import VitmmError

# mmdet 3.3 and mmsegmentation 1.2 assert this range when they are imported.
OLDEST, TOO_NEW = (2, 0, 0), (2, 2, 0)
LITE = 'pip install "mmcv-lite==2.1.0"'
# Every distribution that installs into the folder `mmcv`.
DISTRIBUTIONS = ('mmcv', 'mmcv-lite', 'mmcv-full', 'onedl-mmcv')


class MmcvError(VitmmError, ImportError):
    """mmcv is missing, unusable or of the wrong version; the message says what to type."""


@dataclass(frozen=True)
class Mmcv:
    """The mmcv that `import mmcv` would find."""

    version: str
    compiled: bool


def check_mmcv() -> Mmcv:
    """Find the installed mmcv without importing it.

    Raises:
        MmcvError: it is missing, half overwritten, or not >=2.0.0,<2.2.0.
    """
    found = [name for name in DISTRIBUTIONS if _version(name)]
    again = f'pip uninstall -y {" ".join(found) or "mmcv mmcv-lite"} && {LITE}'
    if len(found) > 1:
        raise MmcvError(
            f'{" and ".join(found)} are both installed, into the same folder, so that each has '
            f'overwritten files of the other. Keep one:\n    {again}'
        )
    spec = find_spec('mmcv')
    if spec is None and not found:
        raise MmcvError(f'vitmm needs mmcv, and there is none. Install it:\n    {LITE}')
    folder = _package_folder(spec)
    if folder is None:
        raise MmcvError(
            'The installed mmcv is broken: some of its files are missing (mmcv and mmcv-lite '
            f'share a folder, and removing one damages the other). Reinstall it:\n    {again}'
        )
    version = _version(found[0]) if found else _version_in_source(folder)
    if not OLDEST <= _numbers(version) < TOO_NEW:
        raise MmcvError(
            f'mmcv {version} is installed, and mmdet and mmsegmentation accept only '
            f'>=2.0.0,<2.2.0. Replace it:\n    {again}'
        )
    compiled = PathFinder.find_spec('mmcv._ext', [str(folder)]) is not None
    return Mmcv(version, compiled)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _package_folder(spec) -> Path | None:
    """The folder of a whole mmcv; None where its `__init__`, its version or its ops are gone."""
    if spec is None or not spec.origin:
        return None
    folder = Path(spec.origin).parent
    needed = ('version.py', 'ops/__init__.py', 'cnn/__init__.py')
    return folder if all((folder / name).is_file() for name in needed) else None


def _version_in_source(folder: Path) -> str:
    """The version of an mmcv that is on the path without having been installed."""
    match = re.search(r"__version__ = '([^']+)'", (folder / 'version.py').read_text())
    return match.group(1) if match else '0'


def _numbers(version: str) -> tuple[int, ...]:
    """'2.1.0rc4' -> (2, 1, 0)"""
    return tuple(int(part) for part in re.findall(r'\d+', version)[:3])
