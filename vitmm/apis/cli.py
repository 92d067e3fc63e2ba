"""Running one of our functions as a command."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.config import DictAction

from vitmm.errors import VitmmError


def parse_options(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Parse ``['a.b=1', 'c=[2,3]']`` as OpenMMLab's ``--cfg-options`` does.

    Raises:
        VitmmError: a pair without ``=``.
    """
    for pair in pairs or ():
        if '=' not in pair:
            raise VitmmError(f'--cfg-options takes key=value pairs, and {pair!r} has no =.')
    parser = argparse.ArgumentParser()
    parser.add_argument('--pairs', nargs='*', action=DictAction, default={})
    return parser.parse_args(['--pairs', *pairs] if pairs else []).pairs


def run(function: Callable[[], Any]) -> Any:
    """Call ``function``; what the user can mend ends the process with one line and status 1."""
    try:
        return function()
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        sys.exit(f'error: {message}')


def user_message(error: BaseException) -> str | None:
    """The message of a :class:`VitmmError`, also of one that a data loader's worker raised."""
    if not isinstance(error, VitmmError):
        return None
    text = str(error)
    if text.startswith('Caught '):  # torch puts the worker's whole traceback into the message
        text = text.strip().splitlines()[-1].partition(': ')[2]
    return text
