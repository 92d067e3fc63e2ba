"""Running one of our functions as a command."""

import argparse
import ast
import atexit
import gc
import hashlib
import os
import re
import select
import sys
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.config import DictAction

from vitmm.compat.distributed import end_dist
from vitmm.errors import VitmmError
from vitmm.writing import disk_message


def parse_options(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Parse ``['a.b=1', 'c=[2,3]']`` as OpenMMLab's ``--cfg-options`` does.

    Lists, tuples and dicts may also be written as in a config, ``c=[dict(type='A', b=(1, 2))]``.
    Spaces inside words stay, where MMEngine drops them: ``data_root=my data`` is another folder.

    Raises:
        VitmmError: a pair without ``=``, or a value that cannot be read.
    """
    options: dict[str, Any] = {}
    parser = argparse.ArgumentParser()
    parser.add_argument('--pairs', nargs='*', action=DictAction)
    for pair in pairs or ():
        key, equals, value = pair.partition('=')
        if not equals:
            raise VitmmError(f'--cfg-options takes key=value pairs, and {pair!r} has no =.')
        try:
            options[key] = _python(value)
        except (SyntaxError, ValueError) as error:
            if 'dict(' in value:  # MMEngine would make strings of its parts
                raise VitmmError(f'--cfg-options: {pair!r} cannot be read: {error}.') from error
            try:
                read = parser.parse_args(['--pairs', f'{key}={_keep_spaces(value)}']).pairs
                options[key] = _give_spaces(read[key])
            except (AssertionError, IndexError, RecursionError) as error:
                raise VitmmError(f'--cfg-options: {pair!r} cannot be read.') from error
    return options


_SPACE = '\N{SYMBOL FOR SPACE}'  # MMEngine drops spaces


def _keep_spaces(text: str) -> str:
    """Stand-ins for the spaces that are part of a word, and none around elements of a list."""
    text = text.strip().strip('\'"').strip()
    if ',' in text or (text[:1] in ('[', '(') and text[-1] in (']', ')')):
        text = re.sub(r' *, *', ',', text)
        for pattern in (r'((?:^|[,\[(])[\[(]) +', r' +([\])](?:$|[,\])]))'):
            while text != (text := re.sub(pattern, r'\1', text)):
                pass
    return text.replace(' ', _SPACE)


def _give_spaces(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_give_spaces, value))
    return value.replace(_SPACE, ' ').strip() if isinstance(value, str) else value


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of a tool as those of the function that it calls.

    ``cfg_options`` become ``options``; ``local_rank``, which old launchers give, goes.
    """
    settings = {k: v for k, v in vars(args).items() if k not in ('cfg_options', 'local_rank')}
    return settings | {'options': parse_options(args.cfg_options)}


def _python(text: str) -> Any:
    """The value of a list, tuple or dict as Python writes it; ``dict(a=1)`` is one, too.

    Raises:
        SyntaxError, ValueError: it is something else.
    """
    if not text.startswith(('[', '(', '{', 'dict(')):
        raise ValueError(f'{text} is no list, tuple or dict')

    class Dicts(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            if (
                ast.unparse(node.func) != 'dict'
                or node.args
                or any(keyword.arg is None for keyword in node.keywords)
            ):
                raise ValueError(f'{ast.unparse(node)} is no plain value')
            keys = [ast.Constant(keyword.arg) for keyword in node.keywords]
            return ast.Dict(keys, [keyword.value for keyword in node.keywords])

    return ast.literal_eval(Dicts().visit(ast.parse(text, mode='eval')))


def run(function: Callable[[], Any]) -> Any:
    """Call ``function``; what the user can mend ends the process with one line and status 1.

    A process group that it started and leaves behind is ended.
    As with ``python -m``, modules in the current directory can be imported: a config's
    ``custom_imports`` names them.
    """
    sys.path.insert(0, os.getcwd())
    gc.freeze()  # what was imported stays: Python looks through it twice as a process ends
    atexit.register(_unfreeze_for_nanobind)
    try:
        result = function()
        sys.stdout.flush()
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            sys.exit(1)
        message = user_message(error)
        if message is None:
            raise
        sys.exit(f'error: {message}' if _is_first(message) else 1)
    end_dist()  # not after an error: other processes may still be waiting for this one
    return result


def _unfreeze_for_nanobind() -> None:
    """Of what Python does not look through, nanobind says as the process ends that it has leaked.

    Triton is bound by it since 3.9, which comes with torch 2.15.
    """
    triton = sys.modules.get('triton._C.libtriton')
    if triton is not None and type(type(triton.ir.location)).__module__ == 'nanobind':
        gc.unfreeze()


def _is_first(message: str) -> bool:
    """Whether no other process that the same launcher started has said so."""
    said = os.environ.get('VITMM_SAID')
    if not said:
        return True
    try:
        with open(os.path.join(said, hashlib.sha1(message.encode()).hexdigest()), 'x'):
            return True
    except FileExistsError:
        return False
    except OSError:  # a full disk, or a launcher that has gone
        return True


def _nobody_reads() -> bool:
    """Whether what reads the output is gone (``| head``); then nothing more is written."""
    asked = select.poll()
    asked.register(sys.stdout, 0)
    if gone := bool(asked.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def user_message(error: BaseException) -> str | None:
    """The message of a :class:`VitmmError`, also of one that a data loader's worker raised.

    A full or read-only disk has one as well; what else was raised has None.
    """
    if isinstance(error, OSError):
        return disk_message(error)
    if not isinstance(error, VitmmError):
        return None
    text = str(error)
    if text.startswith('Caught '):  # torch puts the worker's whole traceback into the message
        text = text.strip().splitlines()[-1].partition(': ')[2]
    return text
