"""The one error that bad data raises."""

from vitmm.errors import VitmmError

REMEDY = 'mend it, or leave all that is bad out with bad_data=skip'


class DataError(VitmmError, ValueError):
    """A data set that is missing, broken or not what the config says."""
