"""What a part of a config is, by its type."""

from typing import Any


def kind_of(part: Any) -> str:
    """The name of a part's class without its package: ``'Resize'`` of ``dict(type='mmcv.Resize')``.

    Types may be classes, too. ``''`` where none is named, or it is no dict.
    """
    kind = getattr(part, 'get', lambda _: None)('type') or ''
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]
