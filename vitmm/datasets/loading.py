"""Reading files with an error that names the file."""

from mmcv.transforms import BaseTransform
from mmengine import fileio

from vitmm.compat import mmcv_resize
from vitmm.datasets.bands import decode
from vitmm.datasets.errors import DataError
from vitmm.registry import TRANSFORMS

mmcv_resize.install()  # what is loaded here is resized later


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Load an image of any number of channels and bits: mmcv's LoadImageFromFile, and more.

    Images of three 8-bit channels come as mmcv loads them, in the order BGR. For all others see
    :func:`vitmm.datasets.bands.decode`.

    Args:
        channels: of the images, 1 or more; ``'${backbone.in_chans}'`` in a config.
        max_value: the value that becomes 255, the brightest that ``mean`` and ``std`` presume.
            None is the largest of the file's integers, and 1 for floats.
        backend_args: MMEngine's, for files elsewhere than on this machine.

    Raises:
        DataError: the file is missing, does not decode or has another number of channels.
    """

    def __init__(
        self, channels: int = 3, max_value: float | None = None, backend_args: dict | None = None
    ) -> None:
        self.channels = channels
        self.max_value = max_value
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']`` into ``'img'``, (H, W, channels), uint8 or float32."""
        path = results['img_path']
        try:
            content = fileio.get(path, backend_args=self.backend_args)
            image = decode(content, self.channels, self.max_value)
        except DataError as error:
            raise DataError(f'{path} {error}') from error
        except Exception as error:  # every decoder fails in its own way
            raise _unreadable(path, error) from error
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'LoadImage(channels={self.channels}, max_value={self.max_value})'


@TRANSFORMS.register_module()
class ForRGB(BaseTransform):
    """Run a transform that presumes 8-bit RGB on such images; leave others as they are.

    Photometric distortions go over hue and saturation, which other images have not.

    Args:
        transform: the config of the transform.
    """

    def __init__(self, transform: dict) -> None:
        self.inner = TRANSFORMS.build(transform)

    def transform(self, results: dict) -> dict | None:
        """Pass ``results`` through the transform if ``'img'`` is (H, W, 3) and uint8."""
        image = results['img']
        if image.dtype == 'uint8' and image.shape[2:] == (3,):
            return self.inner.transform(results)
        return results


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
            raise _unreadable(results.get(key), error) from error


def _unreadable(path: str | None, error: Exception) -> DataError:
    return DataError(
        f'{path} cannot be read ({type(error).__name__}): replace the file or take it out of the '
        'data set.'
    )
