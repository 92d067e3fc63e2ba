"""Semantic segmentation as a graph."""

from functools import partial
from types import MethodType

from torch import Tensor, nn

from vitmm.export.pixels import decode, slide


class Segment(nn.Module):
    """Prepared images -> ``labels`` (N, H, W), int64, whole or in sliding windows as trained for.

    Args:
        model: mmseg's encoder and decoder.
    """

    outputs = ('labels',)
    results = 'labels (N, H, W)'
    batches = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if type(model.decode_head).__name__ == 'Mask2FormerHead':
            from vitmm.export.masks import segments

            model.decode_head.predict = MethodType(segments, model.decode_head)
        self.model = model
        self.slides = model.test_cfg.get('mode', 'whole') == 'slide'

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor]:
        if self.slides:
            settings = self.model.test_cfg
            find = partial(decode, self.model)
            logits = slide(find, images, settings.crop_size, settings.stride)
        else:
            logits = decode(self.model, images)
        logits = logits[..., : size[0], : size[1]].float()
        if logits.shape[1] == 1:
            return ((logits.sigmoid() > self.model.decode_head.threshold)[:, 0].long(),)
        return (logits.argmax(1),)
