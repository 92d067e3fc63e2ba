"""mmseg's DMHead behind maps whose channels lie last, as ConvNeXt's: it asks for a view of them.

Can go when ``DCM.forward`` reshapes.
"""

from functools import wraps
from types import ModuleType
from typing import Any

import torch
from torch import nn

from vitmm.compat.after_import import after_import


def install() -> None:
    """Correct it when mmseg is imported; harmless when repeated."""
    after_import('mmseg.models.decode_heads.dm_head', _correct)


def _correct(module: ModuleType) -> None:
    stock = module.DCM.__init__

    @wraps(stock)
    def __init__(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        for part in (self.input_redu_conv, self.filter_gen_conv):
            part.register_forward_hook(_contiguous)

    module.DCM.__init__ = __init__


def _contiguous(module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
    return output.contiguous()
