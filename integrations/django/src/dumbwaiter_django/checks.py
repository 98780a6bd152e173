"""What is wrong with the settings, said when Django starts and not at the first upload."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from .conf import Options, options

MIDDLEWARE = "dumbwaiter_django.middleware.reference"

ALONE = {
    "django.core.cache.backends.locmem.LocMemCache": "each process has one of its own",
    "django.core.cache.backends.dummy.DummyCache": "it remembers nothing",
}


def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Looks at ``DUMBWAITER``, ``MIDDLEWARE``, ``CACHES`` and ``MEDIA_ROOT``."""
    if MIDDLEWARE not in settings.MIDDLEWARE:
        return []  # With `--give replay` nothing of this is needed.
    try:
        chosen = options()
    except ImproperlyConfigured as error:
        return [Error(f"{error}.", id="dumbwaiter.E001")]
    return [*_order(), *_cache(chosen), *_folders(chosen)]


def _order() -> list[CheckMessage]:
    csrf = "django.middleware.csrf.CsrfViewMiddleware"
    order = list(settings.MIDDLEWARE)
    if csrf not in order or order.index(MIDDLEWARE) < order.index(csrf):
        return []
    hint = f"Move {MIDDLEWARE} to the top of MIDDLEWARE."
    return [Error("CsrfViewMiddleware reads the form before Dumbwaiter's middleware.", hint=hint, id="dumbwaiter.E002")]


def _cache(chosen: Options) -> list[CheckMessage]:
    if chosen.cache not in settings.CACHES:
        return [Error(f"DUMBWAITER's CACHE is none of CACHES: {chosen.cache}.", id="dumbwaiter.E003")]
    why = ALONE.get(settings.CACHES[chosen.cache].get("BACKEND", ""))
    if why is None:
        return []
    hint = "Name a cache that all processes share in DUMBWAITER's CACHE."
    said = f"A statement could be used twice: of the cache that remembers it, {why}."
    return [Warning(said, hint=hint, id="dumbwaiter.W001")]


def _folders(chosen: Options) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    media = Path(settings.MEDIA_ROOT or ".")
    for folder in chosen.folders:
        if not folder.is_dir():
            found.append(Warning(f"Dumbwaiter's folder is not there: {folder}.", id="dumbwaiter.W002"))
        elif media.is_dir() and media.stat().st_dev != folder.stat().st_dev:
            hint = "Files are copied, not moved. Let both be folders of one file system."
            said = f"MEDIA_ROOT and {folder} are on two file systems."
            found.append(Warning(said, hint=hint, id="dumbwaiter.W003"))
    return found
