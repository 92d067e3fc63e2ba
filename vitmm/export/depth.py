"""Depth as a graph."""

from torch import Tensor, nn

from vitmm.export.pixels import decode, slide


class Depth(nn.Module):
    """Prepared images -> ``depth`` (N, H, W) in metres.

    Args:
        model: mmseg's depth estimator.
    """

    outputs = ('depth',)
    results = 'depth (N, H, W) in metres'
    batches = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        # mmseg 1.2.2 takes images whole where test_cfg says 'slide'; what it gives is exported.
        self.slides = model.test_cfg.get('mode', 'whole') == 'slide_flip'

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor]:
        if self.slides:
            settings = self.model.test_cfg
            depth = slide(self._both_ways, images, settings.crop_size, settings.stride)
        else:
            depth = decode(self.model, images)
        return (depth[:, 0, : size[0], : size[1]].float(),)

    def _both_ways(self, images: Tensor) -> Tensor:
        """The mean of an image and its mirror image."""
        return (decode(self.model, images) + decode(self.model, images.flip(3)).flip(3)) / 2
