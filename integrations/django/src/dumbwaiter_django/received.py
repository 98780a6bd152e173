"""A file that Dumbwaiter has received, as Django knows uploaded files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.files.uploadedfile import UploadedFile

from .signed import Forged
from .statement import Stated

if TYPE_CHECKING:
    Base = UploadedFile[bytes]
else:  # The stubs' class has a parameter that Django's own has not.
    Base = UploadedFile


class ReceivedFile(Base):
    """Lies where Dumbwaiter put it. Whoever takes an uploaded file by its path moves it: ``FileSystemStorage`` does, and
    so a model's ``FileField``, with one rename and no copy, where both are on one file system.

    What nobody takes stays with Dumbwaiter.
    """

    def __init__(self, stated: Stated, folders: Iterable[Path]) -> None:
        """Opens the file; raises ``Forged`` where it is not what was stated, or not where it may be."""
        self._path = _inside(stated.path, folders)
        self.sha256 = stated.sha256
        super().__init__(None, _name(stated.name), stated.content_type, stated.size, None, {})
        try:
            # The folder has no link on its way any more; of the file itself none is followed.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Forged(f"names a file that cannot be opened: {error}") from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != stated.size:
            os.close(descriptor)
            raise Forged(f"names a file that is another by now: {self._path}")
        self.file = os.fdopen(descriptor, "rb")

    def temporary_file_path(self) -> str:
        """Where the file lies: Django's way to say that it may be moved."""
        return str(self._path)


def _inside(path: str, folders: Iterable[Path]) -> Path:
    """The path with nothing to be resolved in it, below one of the folders."""
    try:
        real = Path(path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise Forged(f"names a file that is not there: {path!r}") from error
    if str(real) != path and Path(path).is_symlink():
        raise Forged(f"names a link: {path!r}")
    if ".." in Path(path).parts or not any(folder in real.parents for folder in folders):
        raise Forged(f"names a file outside of Dumbwaiter's folders: {path!r}")
    return real


def _name(name: str) -> str:
    """The client's name for it without a path, as Django's own parser cleans names."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(char for char in last if char.isprintable()).strip()
    if clean in {"", ".", ".."}:
        raise Forged(f"names a file that has no name: {name!r}")
    return clean
