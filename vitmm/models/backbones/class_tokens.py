"""Which models have a class token that goes through their blocks with the tokens of the map."""

import torch

from vitmm.errors import BackboneError
from vitmm.models.backbones.twin import Twin, ask_once


def check_class_token(model_name: str, **settings) -> None:
    """Refuse a model that cannot give a class token for each of its maps.

    Args:
        model_name: a name of ``timm.list_models()``.
        settings: what ``timm.create_model`` takes.

    Raises:
        BackboneError: it has none, or gives none away.
    """
    if not ask_once('class token', _has_class_token, model_name, settings):
        raise BackboneError(
            f"'{model_name}' gives no class token with its maps, as plain ViTs do: set "
            "model.backbone.class_token=False (and a head's readout_type='ignore')."
        )


def _has_class_token(twin: Twin) -> bool:
    # Registers are prefix tokens too; the class token is the first wherever there is one.
    if getattr(twin.model, 'cls_token', None) is None:
        return False
    try:
        with torch.no_grad():
            pairs = twin.run(twin.native, return_prefix_tokens=True)
    except Exception:  # each model fails in its own way
        return False
    return all(isinstance(pair, tuple) and pair[1].shape[1] for pair in pairs)
