"""The error that bad data raises."""

import os
from contextlib import suppress

from vitmm.errors import VitmmError

_LONGEST = 120  # letters of a decoder's words
REMEDY = 'mend it, or leave all that is bad out with bad_data=skip'


class DataError(VitmmError, ValueError):
    """A data set that is missing, broken or not what the config says."""


class UnreadableError(DataError):
    """A file that cannot be read. What to do depends on whether it is of a data set.

    Attributes:
        fault: the message without the advice.
    """

    fault = ''

    @classmethod
    def of(cls, path: object, cause: Exception) -> 'UnreadableError':
        """The error for a file of a data set, after whatever its decoder raised."""
        fault = f'{path} cannot be read ({reason_of(path, cause)})'
        error = cls(
            f'{fault}: replace the file or take it out of the data set; bad_data=skip does so.'
        )
        error.fault = fault
        return error


def reason_of(path: object, cause: Exception) -> str:
    """Why a file cannot be read, in a few words on one line, after whatever its decoder raised."""
    with suppress(OSError, TypeError, ValueError):  # it may be elsewhere, or no path at all
        if os.path.getsize(path) == 0:
            return 'it is empty'
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    kind, words = type(cause), ' '.join(str(cause).split())
    # Of what OpenCV cannot decode it makes None, which mmcv refuses or goes on with.
    if kind.__module__.startswith('cv2') or isinstance(cause, AssertionError | AttributeError):
        return 'OpenCV cannot decode it'
    if kind.__name__ == 'UnidentifiedImageError':
        return 'it is no image that Pillow knows'
    if isinstance(cause, KeyError | IndexError) or not words:
        return f'it cannot be decoded: {kind.__name__}'
    return words if len(words) <= _LONGEST else f'{words[:_LONGEST]}…'


class MissingError(DataError):
    """A path of a data set that is not there.

    Attributes:
        path: of the first file or folder.
    """

    path = ''


class AnotherSetError(DataError):
    """A folder to write a data set to that holds one of other settings.

    Attributes:
        there: the settings that differ and their values there, None where they are missing.
    """

    there: dict = {}


class OthersFolderError(DataError):
    """A folder to write a data set to that holds files of somebody else's."""
