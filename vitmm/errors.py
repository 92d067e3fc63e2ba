"""What a user can mend: the tools print its message alone, without a traceback."""

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path


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


def reason(error: BaseException) -> str:
    """What an error says, and where it says nothing, the line of code that raised it."""
    # MMEngine's advice is of no use to a user of ours.
    if words := str(error).split(' Please check whether')[0]:
        return words
    *_, last = traceback.extract_tb(error.__traceback__)
    return f'{last.line}, {Path(last.filename).name}:{last.lineno}'
