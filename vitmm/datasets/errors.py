"""The error that bad data raises."""

from vitmm.errors import VitmmError

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
        fault = f'{path} cannot be read ({type(cause).__name__})'
        error = cls(
            f'{fault}: replace the file or take it out of the data set; bad_data=skip does so.'
        )
        error.fault = fault
        return error


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
