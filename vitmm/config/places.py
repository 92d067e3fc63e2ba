"""Lines of config files, by the keys that they say."""

from dataclasses import dataclass

Key = tuple[str | int, ...]  # ('model', 'neck', 0, 'type')


@dataclass(frozen=True)
class Place:
    """A line of a file; None where only the file is known."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return f'{self.file}:{self.line}' if self.line else self.file


class Places(dict[Key, Place]):
    """Where each key was said last."""

    def forget(self, key: Key) -> None:
        """Drop all keys inside ``key``: what it was before has gone."""
        for other in [k for k in self if len(k) > len(key) and k[: len(key)] == key]:
            del self[other]
