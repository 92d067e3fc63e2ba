"""mmpretrain beside a ``transformers`` that is too new for its multimodal models.

mmpretrain 1.2 imports those models wherever transformers is installed, from functions that
transformers 5 has dropped, so that not even a classifier can be built. Without them it registers
placeholders, which say at use what they need: here it is told to.

Can go when mmpretrain's multimodal models import under today's transformers.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder

_ASKED = 'mmpretrain.utils.dependency'


def install() -> None:
    """Look at mmpretrain's answer when it is imported; imports nothing, harmless when repeated."""
    if _ASKED not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds one module, where everybody else does, and corrects what it says once it has run."""

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != _ASKED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module) -> None:
                run(module)
                module.WITH_MULTIMODAL = module.WITH_MULTIMODAL and _importable()

            spec.loader.exec_module = exec_module
        return spec


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
