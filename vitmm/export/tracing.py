"""Graphs as programs, for images of one size or of any."""

import warnings
from contextlib import contextmanager, nullcontext, redirect_stdout
from io import StringIO
from typing import Any

import torch

from vitmm.errors import ConfigError
from vitmm.export.graph import Graph
from vitmm.export.pooling import AnySizePooling

EXAMPLE = 11, 13  # multiples: no native size, and no map of a single cell


def trace(graph: Graph, size: tuple[int, int], dynamic: int | None) -> torch.export.ExportedProgram:
    """The program of a graph.

    Args:
        graph: of :mod:`.graph`.
        size: (H, W) of its images in pixels, or of one example.
        dynamic: images of other sizes too, in whole multiples of this.

    Raises:
        ConfigError: torch cannot follow the model; the message has torch's reason.
    """
    first = _export(graph, size, dynamic, graph.batches)
    if isinstance(first, Exception) and graph.batches:
        # Some models fix the number of images in their code.
        graph.batches, first = False, _export(graph, size, dynamic, False)
    if isinstance(first, Exception):
        advice = (
            'Its code depends on the size of its images: leave --dynamic out.'
            if dynamic
            else 'It runs in PyTorch alone: tools/infer.py.'
        )
        raise ConfigError(
            f'the model cannot be exported{" with --dynamic" if dynamic else ""}: '
            f'{reason(first)} {advice}'
        ) from first
    return first


def _export(
    graph: Graph, size: tuple[int, int], dynamic: int | None, batches: bool
) -> torch.export.ExportedProgram | Exception:
    dims: dict[int, Any] = {}
    if batches:
        dims[0] = torch.export.Dim('batch', min=1, max=1024)
    if dynamic:
        dims[2] = dynamic * torch.export.Dim('rows', min=1, max=256)
        dims[3] = dynamic * torch.export.Dim('columns', min=1, max=256)
    images = torch.rand(2 if batches else 1, len(graph.prepare.mean), *size) * 255
    try:
        with quiet(), torch.no_grad(), AnySizePooling() if dynamic else nullcontext():
            # strict=False is what torch 2.8 takes by itself, and 2.6 and 2.7 do not.
            return torch.export.export(
                graph, (images,), dynamic_shapes=[dims] if dims else None, strict=False
            )
    except ConfigError:
        raise
    except Exception as error:  # torch's exporter and the model's code raise what they like
        return error


def least_side(program: torch.export.ExportedProgram, multiple: int) -> int:
    """The least height and width in pixels that a program for any size takes.

    Torch takes a length of 1 as a case of its own, and its guards stop at maps of a single cell
    where the example has more.

    Args:
        program: of :func:`trace`.
        multiple: of pixels.
    """
    channels = program.example_inputs[0][0].shape[1]
    run = program.module()
    for side in range(multiple, min(EXAMPLE) * multiple, multiple):
        try:
            with torch.no_grad():
                run(torch.zeros(1, channels, side, side))
        except AssertionError:  # a guard
            continue
        except Exception:  # the model's own limits are told by the graph
            pass
        return side
    return min(EXAMPLE) * multiple


def reason(error: Exception) -> str:
    """What a message says first, without torch's advice."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and 'For more information' not in line]
    text = (lines or ['no reason is given'])[0].lstrip('- ').partition('. If you')[0]
    text = text[:300].rstrip('. ')
    return f'{type(error).__name__}: {text}.'


@contextmanager
def quiet():
    """Without the exporters' progress and warnings; what goes wrong is raised."""
    import logging

    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter('ignore')
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
