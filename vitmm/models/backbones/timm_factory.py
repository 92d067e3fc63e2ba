"""Making a timm model by its name, with errors that name the mend."""

import re
from typing import Any

import timm
import torch
from torch import nn

from vitmm.errors import BackboneError, did_you_mean
from vitmm.meta import Unfilled


def check_name(model_name: str) -> None:
    """Raise :class:`BackboneError` with the nearest names if timm has no such model or tag."""
    architecture, _, tag = model_name.partition('.')
    if not timm.is_model(architecture):
        hint = did_you_mean(architecture, timm.list_models())
        raise BackboneError(
            f"timm {timm.__version__} has no model '{model_name}'.{hint} "
            'timm.list_models() lists every name.'
        )
    if tag:
        tags = timm.list_pretrained(f'{architecture}.*')
        if model_name not in tags:
            raise BackboneError(
                f"timm has no weights '{tag}' for '{architecture}'; it has: "
                f'{", ".join(tags) or "none"}.'
            )


def create(model_name: str, num_classes: int = 0, **kwargs) -> nn.Module:
    """Make the whole timm model without weights, for images of any size where it can be asked to.

    Args:
        model_name: a name of ``timm.list_models()``, with or without a tag.
        num_classes: of its own classifier; 0 leaves that out.
        kwargs: what ``timm.create_model`` takes; None is timm's own default.

    Raises:
        BackboneError: no such model, or a setting that the model does not take or that is not the
            caller's to make.
    """
    check_name(model_name)
    settings = {key: value for key, value in kwargs.items() if value is not None}
    for key in ('pretrained', 'features_only'):
        if key in settings:
            raise BackboneError(f'model.backbone.model_kwargs.{key}: TimmBackbone sets it itself.')
    # No signature tells: most entry points hand **kwargs on to the class. So ask, and take a no.
    for extra in ({'dynamic_img_size': True}, {}):
        try:
            with Unfilled():
                model = timm.create_model(
                    model_name, pretrained=False, num_classes=num_classes, **{**extra, **settings}
                )
            model.register_load_state_dict_post_hook(_forget)
            return model
        except AssertionError as error:
            if 'global_pool' not in settings or 'pool' not in str(error):
                raise
            raise BackboneError(
                f"'{model_name}' does not take model_kwargs.global_pool="
                f'{settings["global_pool"]!r}: {error}'
            ) from error
        except TypeError as error:
            unknown = re.search(r"unexpected keyword argument(?:\(s\))?:? \[?'(\w+)'", str(error))
            if unknown is None:
                raise
            if unknown[1] in settings or unknown[1] not in extra:
                raise BackboneError(
                    f"'{model_name}' does not take the setting {unknown[1]}="
                    f'{settings.get(unknown[1])!r}: remove it from model.backbone, or, where '
                    'a base sets it, begin with model_kwargs=dict(_delete_=True).'
                ) from error
    raise AssertionError('unreachable: the last try has no extra settings')


def _forget(model: nn.Module, _: Any) -> None:
    """Drop what LeViT and its kin keep of their weights from one evaluation to the next.

    They do so themselves as they begin to train, and not as weights are loaded.
    """
    for module in model.modules():
        getattr(module, 'attention_bias_cache', {}).clear()


def create_meta(model_name: str, **kwargs) -> nn.Module:
    """The same model without memory for its parameters, to read its description."""
    with torch.device('meta'):
        return create(model_name, **kwargs)
