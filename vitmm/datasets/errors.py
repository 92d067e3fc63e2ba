"""The one error that bad data raises."""

from vitmm.errors import VitmmError


class DataError(VitmmError, ValueError):
    """A data set that is missing, broken or not what the config says."""
