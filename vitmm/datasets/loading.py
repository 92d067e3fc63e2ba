"""Reading files with an error that names the file."""

from mmcv.transforms import BaseTransform

from vitmm.datasets.errors import DataError
from vitmm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CheckedLoad(BaseTransform):
    """Run a loading transform; where it fails, raise an error that names the file.

    Args:
        transform: the config of any loading transform, of mmcv or a codebase.

    Raises:
        DataError: the file is missing or does not decode.
    """

    def __init__(self, transform: dict) -> None:
        self.inner = TRANSFORMS.build(transform)

    def transform(self, results: dict) -> dict | None:
        """Load what ``results`` points to (``img_path`` or ``seg_map_path``)."""
        try:
            return self.inner.transform(results)
        except Exception as error:  # every decoder fails in its own way
            # Masks are read after the image.
            key = 'seg_map_path' if 'img' in results else 'img_path'
            raise DataError(
                f'{results.get(key)} cannot be read ({type(error).__name__}): replace the file or '
                'take it out of the data set.'
            ) from error
