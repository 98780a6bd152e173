"""The setting ``DUMBWAITER`` as it is meant. What is wrong with it is one line, the same at a check and at an upload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

LEAST_KEY = 32
"""Bytes of a key, as Dumbwaiter wants them (RFC 7518, 3.2: not less than the hash has)."""

KNOWN = {"KEY", "KEY_FILE", "FOLDERS", "CACHE"}


@dataclass(frozen=True)
class Options:
    """What the project has chosen."""

    keys: tuple[bytes, ...]
    """Any of them may have signed: while keys change, the old one and the new one."""
    folders: tuple[Path, ...]
    """Where Dumbwaiter's files lie, with links followed. A file elsewhere is refused, whoever signed for it."""
    cache: str
    """Which of ``CACHES`` remembers the statements that have been used."""


def options() -> Options:
    """Reads the setting, and the key's file, anew: after a change of keys nothing needs a restart.

    Raises ``ImproperlyConfigured`` where something is missing, unknown or too short.
    """
    given: Any = getattr(settings, "DUMBWAITER", None)
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured("DUMBWAITER is not set to a dictionary")
    if strange := sorted(set(given) - KNOWN):
        raise ImproperlyConfigured(f"DUMBWAITER has unknown keys: {', '.join(map(str, strange))}")
    return Options(_keys(given), _folders(given), str(given.get("CACHE", "default")))


def _keys(given: Mapping[str, Any]) -> tuple[bytes, ...]:
    if ("KEY" in given) == ("KEY_FILE" in given):
        raise ImproperlyConfigured("DUMBWAITER needs one of KEY and KEY_FILE")
    if "KEY" in given:
        keys: list[bytes] = [_bytes(given["KEY"])]
    else:
        try:
            lines = Path(given["KEY_FILE"]).read_bytes().splitlines()
        except OSError as error:
            raise ImproperlyConfigured(f"DUMBWAITER's KEY_FILE cannot be read: {error}") from error
        # As Dumbwaiter reads it: a line that begins with # is a remark, perhaps an old key, and no key.
        keys = [key for line in lines if (key := line.strip()) and not key.startswith(b"#")]
    if not keys or any(len(key) < LEAST_KEY for key in keys):
        raise ImproperlyConfigured(f"DUMBWAITER's key is shorter than {LEAST_KEY} bytes")
    return tuple(keys)


def _bytes(key: object) -> bytes:
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    raise ImproperlyConfigured("DUMBWAITER's KEY is neither text nor bytes")


def _folders(given: Mapping[str, Any]) -> tuple[Path, ...]:
    folders = given.get("FOLDERS")
    if not isinstance(folders, (list, tuple)) or not folders:
        raise ImproperlyConfigured("DUMBWAITER's FOLDERS is not a list with the folders of Dumbwaiter's files")
    paths = [Path(folder) for folder in folders]
    for path in paths:
        if not path.is_absolute():
            raise ImproperlyConfigured(f"DUMBWAITER's FOLDERS has a path that is not absolute: {path}")
    return tuple(path.resolve() for path in paths)
