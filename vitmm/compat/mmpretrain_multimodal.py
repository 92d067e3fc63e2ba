"""mmpretrain beside a ``transformers`` that is too new for its multimodal models.

mmpretrain 1.2 imports those models wherever transformers is installed, from functions that
transformers 5 has dropped, so that not even a classifier can be built. Without them it registers
placeholders, which say at use what they need: here it is told to.

Can go when mmpretrain's multimodal models import under today's transformers.
"""

from types import ModuleType

from vitmm.compat.after_import import after_import


def install() -> None:
    """Look at mmpretrain's answer when it is imported; harmless when repeated."""
    after_import('mmpretrain.utils.dependency', _correct)


def _correct(module: ModuleType) -> None:
    module.WITH_MULTIMODAL = module.WITH_MULTIMODAL and _importable()


def _importable() -> bool:
    try:  # what mmpretrain's language models take from there
        from transformers.modeling_utils import (  # noqa: F401
            PreTrainedModel,
            apply_chunking_to_forward,
            find_pruneable_heads_and_indices,
            prune_linear_layer,
        )
    except ImportError:
        return False
    return True
