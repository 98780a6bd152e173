"""What a statement says, parsed once: behind it there is no JSON to check again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from django.core.cache import caches
from django.utils.encoding import repercent_broken_unicode

from . import signed
from .conf import Options
from .signed import Forged

FIELD = "dumbwaiter.statement"
"""The form's field that holds the statement."""


@dataclass(frozen=True)
class Stated:
    """One file that Dumbwaiter has received."""

    field: str
    name: str
    path: str
    content_type: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Statement:
    """What Dumbwaiter vouches for."""

    jti: str
    expires: float
    method: str
    path: str
    upload: str
    owner: str | None
    files: tuple[Stated, ...]


def read(token: str, options: Options) -> Statement:
    """Parses a statement that one of the keys signed; raises ``Forged`` for any other."""
    claims = signed.read(token, options.keys, "statement")
    files = claims.get("files")
    if not isinstance(files, list):
        raise Forged("names no files")
    return Statement(
        jti=_text(claims, "jti"),
        expires=float(claims["exp"]),
        method=_text(claims, "method"),
        path=_text(claims, "path"),
        upload=_text(claims, "upload"),
        owner=_maybe(claims, "owner"),
        files=tuple(_stated(file) for file in files),
    )


def is_for(statement: Statement, method: str, path: str, query: str) -> bool:
    """Whether it was made for this request and no other. ``path`` is as Django has it, with nothing escaped."""
    stated, _, asked = statement.path.partition("?")
    return (statement.method, asked, _unescaped(stated)) == (method, query, path)


def use(statement: Statement, cache: str) -> bool:
    """Uses it up; false where that has been done before. The cache remembers it until it is too old by itself."""
    left = max(1, int(statement.expires - time.time()) + 2 * signed.LEEWAY)
    return bool(caches[cache].add(f"dumbwaiter.statement.{statement.jti}", 1, timeout=left))


def _unescaped(path: str) -> str:
    # As django.core.handlers.wsgi decodes the path that it is given.
    return repercent_broken_unicode(unquote_to_bytes(path)).decode()


def _stated(file: object) -> Stated:
    if not isinstance(file, dict):
        raise Forged("names a file that is none")
    size = file.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise Forged("names a file without its size")
    return Stated(
        field=_text(file, "field"),
        name=_text(file, "name"),
        path=_text(file, "path"),
        content_type=_maybe(file, "content_type") or "",
        size=size,
        sha256=_maybe(file, "sha256"),
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise Forged(f"has no {name}")
    return value


def _maybe(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Forged(f"has a strange {name}")
