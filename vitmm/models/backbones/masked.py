"""A plain ViT that sees a part of its patches: the encoder of a masked autoencoder."""

from typing import Any

import torch
from timm.layers import PatchEmbed
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from vitmm.errors import BackboneError
from vitmm.models.backbones.timm_backbone import TimmBackbone
from vitmm.registry import MODELS


@MODELS.register_module()
class MaskedTimmBackbone(TimmBackbone):
    """``TimmBackbone`` with most patches left out, for mmpretrain's ``MAE``.

    He et al., Masked Autoencoders Are Scalable Vision Learners, https://arxiv.org/abs/2111.06377.
    Patches are left out in the place where timm has its patch dropout, behind the position
    embeddings and before the blocks, so the model is timm's, untouched: a checkpoint is one of
    ``TimmBackbone``, final norm included, and loads by ``model.backbone.pretrained=<its path>``.
    Position embeddings, where the model has a table of them, are MAE's fixed sines and cosines
    unless ``pretrained`` brings others.

    Args:
        model_name: a plain ViT: timm's VisionTransformer or Eva (DINOv3, RoPE) on patches that
            do not overlap.
        mask_ratio: share of the patches left out, above 0 and below 1.
        **settings: of :class:`TimmBackbone`, but for what maps it returns.

    Raises:
        BackboneError: another kind of model, windows of attention, or a ratio out of range.
    """

    def __init__(self, model_name: str, mask_ratio: float = 0.75, **settings: Any) -> None:
        for key in ('output', 'out_strides', 'out_indices', 'out_norm', 'window_size'):
            if settings.get(key) is not None:
                raise BackboneError(
                    f'model.backbone.{key}: a masked backbone has one output, of whole attention; '
                    'leave it out.'
                )
        if not 0 < mask_ratio < 1:
            raise BackboneError(f'mask_ratio={mask_ratio}: give more than 0 and less than 1.')
        super().__init__(model_name, out_indices=[-1], out_norm='final', **settings)
        model = self.model
        if not isinstance(model, VisionTransformer | Eva) or type(model.patch_embed) is not (
            PatchEmbed
        ):
            raise BackboneError(
                f"'{model_name}' ({type(model).__name__}) cannot leave patches out: take a plain "
                'ViT on patches that do not overlap, such as vit_small_patch16_224.'
            )
        model.patch_drop = LeaveOut(mask_ratio, model.num_prefix_tokens, isinstance(model, Eva))
        if getattr(model, 'pos_embed', None) is not None:
            self._unused |= {'model.pos_embed'}
            self.freeze(settings.get('frozen_groups', 0), settings.get('frozen_norms', False))

    def init_weights(self) -> None:
        """Load the pretrained weights, or else lay out the position embeddings."""
        from mmpretrain.models.utils import build_2d_sincos_position_embedding

        if self.is_init:
            return
        super().init_weights()
        table = getattr(self.model, 'pos_embed', None)
        if table is None or self.pretrained:
            return
        rows, columns = self.model.patch_embed.grid_size
        # Whose first number is that of the faster axis; a square's is either.
        waves = build_2d_sincos_position_embedding((columns, rows), table.shape[-1])
        with torch.no_grad():
            table.zero_()  # of prefix tokens, which have no place
            table[:, table.shape[1] - waves.shape[1] :] = waves.to(table)

    def forward(
        self, x: torch.Tensor, mask: bool | None = True
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | tuple[torch.Tensor, ...]:
        """Encode a random part of each image's patches, another part for each image.

        Args:
            x: images, (N, C, H, W), normalised.
            mask: None or False for the whole image, as :meth:`TimmBackbone.forward`.

        Returns:
            What mmpretrain's MAE takes: tokens (N, 1 + kept, C), the class token first or else
            the mean of the rest; the mask (N, L) over the patches by rows, 1 where one is left
            out; and, (N, L), where each patch lies among those kept, then those left out.
        """
        if not mask:
            return super().forward(x)
        slot = self.model.patch_drop
        slot.armed = True
        try:
            tokens = self.model.forward_features(self.canvas.lay(x))
        finally:
            slot.armed = False
        patches = tokens[:, self.model.num_prefix_tokens :]
        has_class = getattr(self.model, 'cls_token', None) is not None
        first = tokens[:, :1] if has_class else patches.mean(1, keepdim=True)
        return torch.cat([first, patches], dim=1), slot.mask, slot.restore


class LeaveOut(nn.Module):
    """Stands where timm has its patch dropout, and does nothing unless ``armed``.

    Args:
        ratio: share of the patches to leave out.
        prefix: how many tokens come before the patches; they stay.
        tells: return what was kept as well, as Eva wants it to choose its rotations.
    """

    def __init__(self, ratio: float, prefix: int, tells: bool) -> None:
        super().__init__()
        self.ratio, self.prefix, self.tells = ratio, prefix, tells
        self.armed = False
        self.mask = self.restore = None

    def forward(
        self, tokens: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor | None]:
        kept = None
        if self.armed:
            before, patches = tokens[:, : self.prefix], tokens[:, self.prefix :]
            count, length, channels = patches.shape
            order = torch.rand(count, length, device=tokens.device).argsort(dim=1)
            kept = order[:, : max(1, int(length * (1 - self.ratio)))]
            self.restore = order.argsort(dim=1)
            self.mask = (self.restore >= kept.shape[1]).float()
            patches = patches.gather(1, kept[..., None].expand(-1, -1, channels))
            tokens = torch.cat([before, patches], dim=1)
        return (tokens, kept) if self.tells else tokens
