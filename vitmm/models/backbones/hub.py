"""timm's hub, from machines that cannot reach it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from huggingface_hub import constants

_PATIENCE = 5  # seconds


@contextmanager
def only_if_it_answers() -> Iterator[bool]:
    """Ask the hub once; where it does not answer, let its client look into its cache alone.

    The client itself would try again and again, for more than a minute.

    Yields:
        Whether there is an answer, of whatever kind.
    """
    answers = _answers(constants.ENDPOINT)
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not answers
    try:
        yield answers
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(url: str) -> bool:
    try:
        with urlopen(Request(url, method='HEAD'), timeout=_PATIENCE):
            return True
    except HTTPError:
        return True
    except OSError as error:  # the client may trust others than Python's own does
        return isinstance(getattr(error, 'reason', error), ssl.SSLError)
