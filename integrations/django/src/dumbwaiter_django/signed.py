"""What Dumbwaiter signs: a JWT by HMAC with SHA-256, and no other kind (RFC 7515, RFC 7519; RFC 8725, 3.1)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Iterable
from typing import Any

LEEWAY = 30
"""Seconds that two machines' clocks may differ."""


class Forged(Exception):
    """Not Dumbwaiter's, not for this, or too old. Its text is for the log."""


def read(token: str, keys: Iterable[bytes], audience: str) -> dict[str, Any]:
    """Gives the claims of a token that one of ``keys`` signed for ``audience``; raises ``Forged`` for any other."""
    try:
        head, body, signature = token.encode("ascii").split(b".")
        given = _decoded(signature)
    except ValueError as error:
        raise Forged("is no token") from error
    signed = b".".join((head, body))
    # The signature is looked at before anything in the token is: what a stranger wrote is not even parsed.
    if not any([hmac.compare_digest(hmac.digest(key, signed, "sha256"), given) for key in keys]):
        raise Forged("is signed by nobody known")
    if _object(head).get("alg") != "HS256":
        raise Forged("is signed in another way")
    claims = _object(body)
    if claims.get("iss") != "dumbwaiter" or claims.get("aud") != audience:
        raise Forged("is for something else")
    if _seconds(claims, "exp") + LEEWAY < time.time():
        raise Forged("is too old")
    return claims


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Forged(f"has no {name}")
    return value


def _object(part: bytes) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except ValueError as error:
        raise Forged("holds no JSON") from error
    if not isinstance(value, dict):
        raise Forged("holds no object")
    return value


def _decoded(part: bytes) -> bytes:
    try:
        return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise Forged("is no base64") from error
