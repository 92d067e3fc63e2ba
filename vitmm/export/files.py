"""Graphs as files: ONNX, and torch.export's."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitmm.errors import ConfigError, VitmmError
from vitmm.export.graph import INPUT
from vitmm.export.tracing import quiet, reason

SUFFIXES = {'onnx': '.onnx', 'torch': '.pt2'}
NEEDED = {'onnx': ('onnx', 'onnxruntime', 'onnxscript'), 'torch': ()}
OPSET = 18
_DEFORMING = 20  # ONNX has deformable convolutions from 19 on
OLDEST_ONNX = '2.7'  # the exporter of 2.6 fails at every batch norm
EXTRA = 'vitmm.json'

Run = Callable[[Tensor], list[Tensor]]


def check_packages(kind: str) -> None:
    """Refuse where a package is missing, or torch too old.

    Raises:
        ConfigError: it names them, and how to install them.
    """
    missing = []
    for name in NEEDED[kind]:
        try:
            import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise ConfigError(
            f'--format {kind} needs {", ".join(missing)}: pip install {" ".join(missing)}.'
        )
    if kind == 'onnx' and torch.__version__ < OLDEST_ONNX:
        raise ConfigError(
            f'--format onnx needs torch {OLDEST_ONNX} or later, and this is torch '
            f'{torch.__version__}: update it, or take --format torch.'
        )


def save(
    program: torch.export.ExportedProgram,
    path: Path,
    kind: str,
    outputs: tuple[str, ...],
    told: Mapping[str, str],
) -> list[Path]:
    """Write ``path`` (above 2 GB, ONNX puts the weights into a file beside it).

    Args:
        program: of :func:`vitmm.export.tracing.trace`.
        path: the file.
        kind: ``'onnx'`` or ``'torch'``.
        outputs: names of the results.
        told: metadata.

    Returns:
        The files.

    Raises:
        ConfigError: ONNX has no such operator.
    """
    if kind == 'torch':
        content = BytesIO()  # torch ends the process where a disk is full
        with quiet():
            torch.export.save(program, content, extra_files={EXTRA: json.dumps(dict(told))})
        path.write_bytes(content.getbuffer())
        return [path]
    from torch import onnx  # heavy

    _drop_casts_to_itself(program.graph)
    deforms = any('deform_conv' in str(node.target) for node in program.graph.nodes)
    try:
        with quiet():
            made = onnx.export(
                program,
                (),
                input_names=[INPUT],
                output_names=list(outputs),
                opset_version=_DEFORMING if deforms else OPSET,
                dynamo=True,
                optimize=False,
                verbose=False,
            )
            _optimize(made.model)
            _keep_constants(made.model.graph)
            made.model.metadata_props.update(told)
            made.save(path)
    except onnx.OnnxExporterError as error:
        why = str(error.__cause__ or error).strip().splitlines()[0].rstrip('. ')
        raise ConfigError(
            f'the model cannot be exported to ONNX: {why[:300]}. --format torch has no such limits.'
        ) from error
    return sorted(path.parent.iterdir())


def _optimize(model: Any) -> None:
    """As the exporter would, but small maps that are resampled once, such as embeddings of places.

    It would do that by onnx's reference, whose antialiased cubic differs from PyTorch's by a tenth.
    """
    from onnxscript.optimizer import optimize_ir

    optimize_ir(model, should_fold=lambda node: False if node.op_type == 'Resize' else None)


def _drop_casts_to_itself(graph: torch.fx.Graph) -> None:
    """mmcv casts weights to the type they have, which torch 2.11 takes for other weights."""
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.type_as.default:
            (value, _), done = node.args, node.meta['val']
            if value.meta['val'].dtype == done.dtype:
                node.replace_all_uses_with(value)
                graph.erase_node(node)


def _keep_constants(graph: Any) -> None:
    """Add the constants that onnxscript 0.7.2 loses where one value is clamped twice."""
    for value in (value for node in graph for value in node.inputs if value is not None):
        lost = value.const_value is not None and value.producer() is None
        if lost and value.name not in graph.initializers:
            graph.register_initializer(value)


def load(path: Path, kind: str) -> Run:
    """A function from images to results, by ONNX Runtime on the CPU or the saved program.

    Raises:
        VitmmError: they cannot load it or, when the function is called, run it; the message says
            why.
    """
    with _told(kind, 'load the export'):
        program = _program(path) if kind == 'torch' else _session(path)

    def run(images: Tensor) -> list[Tensor]:
        with _told(kind, f'run the export on images {tuple(images.shape)}'):
            return list(program(images))

    return run


def _program(path: Path) -> Callable[[Tensor], Iterable[Tensor]]:
    with quiet():
        return torch.export.load(path).module()


def _session(path: Path) -> Callable[[Tensor], Iterable[Tensor]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])

    def run(images: Tensor) -> Iterable[Tensor]:
        found = session.run(None, {INPUT: np.ascontiguousarray(images.numpy())})
        return map(torch.from_numpy, found)

    return run


@contextmanager
def _told(kind: str, what: str):
    """Make one message of whatever is raised."""
    try:
        yield
    except Exception as error:  # ONNX Runtime's errors have no class in common
        name = {'onnx': 'ONNX Runtime', 'torch': 'torch.export'}[kind]
        raise VitmmError(f'{name} cannot {what}: {reason(error)}') from error


@contextmanager
def scratch(path: Path):
    """Give a place to write to; :func:`put` moves what is there, or nothing is left of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as folder:
        yield Path(folder) / path.name


def put(files: list[Path], folder: Path) -> None:
    """Move files into a folder, the first last: where it is, all are."""
    for file in reversed(files):
        os.replace(file, folder / file.name)
