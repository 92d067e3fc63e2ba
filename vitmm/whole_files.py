"""Files that are whole or not there, whenever the process is killed."""

import os
from pathlib import Path


def write_whole(path: str | os.PathLike, content: bytes | str) -> None:
    """Write a file beside its place, then move it into it; makes its folder.

    A reader sees the old file or the new one. Text is written as UTF-8. A link there is replaced
    by the file.

    Raises:
        OSError: it cannot be written; ``filename`` is the path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with scratch.open('wb') as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:  # of a full disk it names no file, else the scratch
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        scratch.unlink(missing_ok=True)
