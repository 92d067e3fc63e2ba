"""Export a checkpoint with its pre- and post-processing, and hold it against PyTorch."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import vitmm
from vitmm.errors import ConfigError, VitmmError
from vitmm.export.files import SUFFIXES, check_packages, load, put, save, scratch
from vitmm.export.graph import Graph
from vitmm.export.parity import HALF, Limits, compare
from vitmm.export.tracing import EXAMPLE, least_side, trace
from vitmm.inference.inputs import array_items
from vitmm.inference.predictor import Predictor
from vitmm.writing import check_writable, writing

DYNAMIC = 32  # pixels: the coarsest stride of common backbones


def export(
    checkpoint: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    size: Sequence[int] | None = None,
    dynamic: bool = False,
    fp16: bool = False,
    check: Iterable[str | Path] = (),
    config: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Write one file that makes results of raw images, without OpenMMLab.

    It takes ``images``, float32 (N, C, H, W), 0 to 255, RGB; mean, std and padding are inside, and
    so are softmax, the decoding of boxes, NMS and the resizing of segments. Detectors take one
    image at a time. Metadata in the file say all this, the classes too (``vitmm.json`` in a
    ``.pt2``).

    Args:
        checkpoint: a ``.pth`` file, or a folder that ``tools/publish_model.py`` wrote.
        out: the file.
        format: ``'onnx'``, or ``'torch'`` for :func:`torch.export.save`; by default what the suffix
            of ``out`` says (``.pt2`` is torch's).
        size: (H, W) of the images in pixels; by default what the recipe's test scales to.
        dynamic: any height and width in whole multiples of 32, for a ``.pt2`` from the least that
            the metadata tell.
        fp16: weights and maps in float16, input and results in float32.
        check: images on which PyTorch and the export are compared; an export that differs is not
            kept.
        config: a config file; by default the config in the checkpoint.
        options: ``{'dotted.key': value}`` over the config.

    Returns:
        What was written and how far it is from PyTorch, for people.

    Raises:
        VitmmError: whatever the user can mend, in one message. Nothing is written then.
    """
    out = Path(out)
    kind = _format(out, format)
    if size is not None and (dynamic or len(size) != 2 or min(size) < 1):
        raise ConfigError('--size takes two lengths in pixels, H W, and goes without --dynamic.')
    if out.is_dir():
        raise ConfigError(
            f'{out} is a folder; name a file, such as {out / "model"}{SUFFIXES[kind]}.'
        )
    check_packages(kind)
    check_writable(out.parent, f'{out.name} in')
    predictor = Predictor(checkpoint, config, device='cpu', options=options)
    graph = Graph(predictor.model, predictor.task, predictor.channels, fp16)
    multiple = max(DYNAMIC, graph.prepare.divisor) if dynamic else 1
    if dynamic:
        height, width = (side * multiple for side in EXAMPLE)
    else:
        height, width = size or test_size(predictor)
    program = trace(graph, (height, width), multiple if dynamic else None)
    # A program stops at smaller images than ONNX Runtime.
    least = least_side(program, multiple) if dynamic and kind == 'torch' else multiple
    told = _metadata(predictor, graph, None if dynamic else (height, width), multiple, least, fp16)
    with writing((f'{out.name} in', out.parent)), scratch(out) as place:
        files = save(program, place, kind, graph.outputs, told)
        parity, limits = None, HALF if fp16 else Limits()
        if check := list(check):
            shape = None if dynamic else (height, width)
            run = load(place, kind)
            parity = compare(predictor, run, graph.outputs, check, shape, multiple, least, limits)
            if bad := parity.beyond(limits):
                raise VitmmError(
                    f'the export differs from PyTorch on {parity.images} images: '
                    f'{"; ".join(bad)}. It is not kept.'
                )
        put(sorted(files, key=lambda file: file != place), out.parent)
    lines = [
        f'{out}: {out.stat().st_size / 2**20:.1f} MiB, {kind}{", float16" if fp16 else ""}',
        f'input   {told["input"]}',
        f'output  {told["output"]}',
        f'checked on {parity.images} images'
        f'{"" if parity.empty else ", largest differences to PyTorch"}: {parity}'
        if parity
        else 'not checked: --check IMAGES compares it with PyTorch',
    ]
    if parity and parity.empty:
        lines.append(
            f'warning: nothing was found in these {parity.images} images, so no boxes were '
            'compared. Give images with objects in them, or try an export with a lower score '
            'threshold first (--cfg-options model.test_cfg...score_thr=0.0).'
        )
    return '\n'.join(lines)


def test_size(predictor: Predictor) -> tuple[int, int]:
    """(H, W) in pixels of what the test pipeline makes of an image of the size it scales to.

    Raises:
        ConfigError: it leaves images as large as they are.
    """
    steps = predictor.pipeline.transforms.transforms
    scales = [s.scale for s in steps if _pair(getattr(s, 'scale', None))]
    found = {_size_after(predictor, *scale) for scale in scales[:1] or [(256, 256), (320, 320)]}
    if len(found) > 1:
        raise ConfigError(
            'the recipe tests images in their own size: say which the export takes, --size H W, '
            'or --dynamic for any.'
        )
    return found.pop()


def _size_after(predictor: Predictor, width: int, height: int) -> tuple[int, int]:
    """(H, W) of an image of that size after the test pipeline."""
    (item,) = array_items([np.full((height, width, predictor.channels), 127, np.uint8)])
    return tuple(predictor.pipeline(item)['inputs'].shape[-2:])


def _pair(scale: Any) -> bool:
    return isinstance(scale, list | tuple) and len(scale) == 2


def _format(out: Path, told: str | None) -> str:
    by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
    kind = told or by_suffix.get(out.suffix, 'onnx')
    if kind not in SUFFIXES:
        raise ConfigError(f"--format is onnx or torch, not '{kind}'.")
    if by_suffix.get(out.suffix, kind) != kind:
        raise ConfigError(f'--format {kind} does not fit {out.name}: name it *{SUFFIXES[kind]}.')
    return kind


def _metadata(
    predictor: Predictor,
    graph: Graph,
    size: tuple[int, int] | None,
    multiple: int,
    least: int,
    fp16: bool,
) -> dict[str, str]:
    number = 'N' if graph.batches else '1'
    sides = f'{size[0]}, {size[1]}' if size else 'H, W'
    colours = 'RGB' if predictor.channels == 3 else 'the bands as trained'
    note = ''
    if not size:
        larger = f', {least} or more' if least > multiple else ''
        note = f'; H and W whole multiples of {multiple}{larger}{graph.limits}'
    return {
        'task': predictor.task,
        'input': f'images float32 ({number}, {predictor.channels}, {sides}), 0 to 255, {colours}, '
        f'not normalised{note}',
        'output': graph.results,
        **({} if predictor.task == 'depth' else {'classes': json.dumps(predictor.classes)}),
        'precision': 'float16' if fp16 else 'float32',
        'vitmm': vitmm.__version__,
    }
