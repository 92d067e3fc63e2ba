"""MMEngine formats a config's text anew whenever it is asked for it: five times before training
begins, and in every checkpoint. Formatting takes longer than reading the config, so once is enough.
"""

from functools import wraps
from typing import Any

from mmengine.config import config as mmengine_config


def format_once() -> None:
    """Let MMEngine remember the last text that it formatted; harmless when repeated."""
    plain = mmengine_config.FormatCode
    if hasattr(plain, '__wrapped__'):
        return
    last: list[Any] = [None, None]

    @wraps(plain)
    def remembered(text: str, **style: Any) -> Any:
        if last[0] != (text, style):
            last[:] = [(text, style), plain(text, **style)]
        return last[1]

    mmengine_config.FormatCode = remembered
