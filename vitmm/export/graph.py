"""One module from raw images to results."""

from copy import deepcopy

from torch import Tensor, nn

from vitmm.export.attention import exchange
from vitmm.export.images import Prepare

INPUT = 'images'


class Graph(nn.Module):
    """Raw images -> results, all of it in tensors.

    Args:
        model: of OpenMMLab, in eval mode; it stays as it is.
        task: ``'cls'``, ``'det'``, ``'seg'`` or ``'depth'``.
        channels: of the images.
        half: weights and maps in float16; pixels, boxes, scores and NMS stay in float32, and so
            does all behind the neck where attention is deformable.

    Attributes:
        outputs: names of the results: ``scores`` (cls), ``labels`` (seg), ``depth``, or ``boxes``,
            ``scores``, ``labels`` and, where objects are cut out, ``masks`` (det).
        results: their shapes and ranges, for people.
        limits: on images of any size, for people.
        batches: whether more than one image may go through together.

    Raises:
        ConfigError: a model that cannot be exported, and why.
    """

    def __init__(self, model: nn.Module, task: str, channels: int = 3, half: bool = False) -> None:
        super().__init__()
        model = deepcopy(model).cpu().eval().requires_grad_(False)
        self.prepare = Prepare(model.data_preprocessor, channels, half)
        model.data_preprocessor = nn.Identity()
        deformable = exchange(model)
        if half:
            # Deformable attention looks between cells: float16 could not tell where on large maps.
            for name, part in model.named_children():
                if not deformable or name in ('backbone', 'neck'):
                    part.half()
        if task == 'cls':
            from vitmm.export.classify import Classify as Kind
        elif task == 'seg':
            from vitmm.export.segment import Segment as Kind
        elif task == 'depth':
            from vitmm.export.depth import Depth as Kind
        else:
            from vitmm.export.detect import Detect as Kind
        self.rest = Kind(model)
        self.outputs, self.results = self.rest.outputs, self.rest.results
        self.batches, self.limits = self.rest.batches, getattr(self.rest, 'limits', '')
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, C, H, W), float32, 0 to 255, RGB -> one tensor for each of ``outputs``."""
        size = images.shape[-2], images.shape[-1]
        return self.rest(self.prepare(images), size)
