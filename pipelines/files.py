"""Files that are there as a whole or not at all."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a draft to write to, which then is renamed to `path`.

    An interruption at any time, even while writing, damages nothing: what
    was at `path` stays until the draft is complete.

    Raises:
        OSError: it cannot be written; names `path`, not the draft.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Keras goes by the end of the name; two processes have two drafts.
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        if str(error.filename) == str(draft):
            error.filename = str(path)
        raise
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(path: Path) -> None:
    """Remove what killed processes have left of a file.

    There must be none that writes it now.
    """
    for draft in path.parent.glob(f".draft-*-{path.name}"):
        draft.unlink()


def check_space(folder: Path, size: int) -> None:
    """Refuse to begin a file of so many bytes where there is no room for it.

    Of libraries that write in C some crash in the middle of it.

    Raises:
        OSError: there is no room.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def check_writable(folder: Path) -> None:
    """Refuse long work whose results could not be written to a folder.

    It is made if there is none.

    Raises:
        OSError: it is read-only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        error.filename = str(folder)
        raise


def digest(path: Path) -> str:
    """Name the size of a file and the beginning of its SHA-256."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return f"{file.tell():,} bytes, sha256 {sha256[:16]}"
