"""One module from raw images to results."""

from copy import deepcopy

from torch import Tensor, nn

from vitmm.errors import ConfigError
from vitmm.export.images import Prepare

INPUT = 'images'


class Graph(nn.Module):
    """Raw images -> results, all of it in tensors.

    Args:
        model: of OpenMMLab, in eval mode; it stays as it is.
        task: ``'cls'``, ``'det'`` or ``'seg'``.
        channels: of the images.
        half: weights and maps in float16; pixels, boxes, scores and NMS stay in float32.

    Attributes:
        outputs: names of the results: ``scores`` (cls), ``labels`` (seg), ``boxes``, ``scores``,
            ``labels`` and, where objects are cut out, ``masks`` (det).
        batches: whether more than one image may go through together.

    Raises:
        ConfigError: a model that cannot be exported, and why.
    """

    def __init__(self, model: nn.Module, task: str, channels: int = 3, half: bool = False) -> None:
        super().__init__()
        if task not in ('cls', 'det', 'seg'):
            raise ConfigError(
                f'{type(model).__name__} cannot be exported: no export of {task} yet.'
            )
        model = deepcopy(model).cpu().eval().requires_grad_(False)
        self.prepare = Prepare(model.data_preprocessor, channels, half)
        model.data_preprocessor = nn.Identity()
        if half:
            model = model.half()
        if task == 'cls':
            from vitmm.export.classify import Classify as Kind
        elif task == 'seg':
            from vitmm.export.segment import Segment as Kind
        else:
            from vitmm.export.detect import Detect as Kind
        self.rest = Kind(model)
        self.outputs, self.batches = self.rest.outputs, self.rest.batches
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, C, H, W), float32, 0 to 255, RGB -> one tensor for each of ``outputs``."""
        size = images.shape[-2], images.shape[-1]
        return self.rest(self.prepare(images), size)
