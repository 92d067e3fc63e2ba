"""What a user can mend: the tools print its message alone, without a traceback."""

import difflib
from collections.abc import Iterable


class VitmmError(Exception):
    """Bad input. Its message says what was wrong, where, and what to do."""


class ConfigError(VitmmError, ValueError):
    """A config that names what does not exist, or leaves a hole unfilled."""


class BackboneError(VitmmError, ValueError):
    """A backbone that timm lacks, or settings that it does not take."""


class WeightsError(VitmmError, RuntimeError):
    """Weights that do not belong to the model they were given to."""


def did_you_mean(name: str, known: Iterable[str], limit: int = 5, cutoff: float = 0.6) -> str:
    """Return ``' Did you mean a, b?'`` with the known names nearest to ``name``, or ``''``.

    ``cutoff``, 0 to 1: how like it they must be.
    """
    close = difflib.get_close_matches(name, set(known), n=limit, cutoff=cutoff)
    return f' Did you mean {", ".join(close)}?' if close else ''
