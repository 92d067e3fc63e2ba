"""The model of a config without memory: what its tensors are called and of what shapes they are."""

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from torch import nn


def bare_model(settings: Mapping[str, Any], scope: str | None) -> nn.Module:
    """Build a model on the meta device, in silence; on the CPU where that cannot be done.

    Args:
        settings: the ``model`` of a resolved config.
        scope: its ``default_scope``.

    Raises:
        Exception: whatever a class of anybody's raises.
    """
    settings = light(settings)
    with quiet():
        init_default_scope(scope or 'mmengine')
    try:
        with quiet(), torch.device('meta'):
            # Some parts are made by torch.Tensor(), which always has memory.
            return MODELS.build(copy.deepcopy(settings)).to('meta')
    except (RuntimeError, NotImplementedError):  # some compute while they are built
        with quiet():
            return MODELS.build(settings)


@contextmanager
def quiet() -> Iterator[None]:
    """MMEngine's own messages are not ours."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)


def walk(value: Any, key: tuple = ()) -> Iterator[tuple[tuple, Mapping[str, Any]]]:
    """Every dict inside ``value``, with its key."""
    if isinstance(value, Mapping):
        yield key, value
        for name, inner in value.items():
            yield from walk(inner, (*key, name))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from walk(inner, (*key, place))


def light(settings: Any) -> Any:
    """Without checkpointing of activations, which wants a real device, and without downloads."""
    settings = copy.deepcopy(settings)
    for _, part in walk(settings):
        fetches = str(part.get('type')).endswith('TIMMBackbone')  # mmpretrain's, as it is built
        for switch in ('grad_checkpointing', 'with_cp', *(['pretrained'] if fetches else [])):
            if switch in part:
                part[switch] = False
    return settings
