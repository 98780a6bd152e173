"""The article's settings, for today's Django. start.py says by the environment where the data and the cache are."""

import os
from pathlib import Path

from django.conf import global_settings

HERE = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("EXAMPLE_DATA", HERE / "data")).resolve()

SECRET_KEY = os.environ.get("EXAMPLE_SECRET_KEY", "for trying on this machine alone")
# Whoever reaches Dumbwaiter may use the example under any name; a site of yours lists its own.
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
STATIC_URL = "/static/"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / "dishes.sqlite3"}}
MEDIA_ROOT = DATA / "pictures"
# The files of the template tag, which the project serves by itself.
STATIC = HERE.parent.parent / "integrations" / "django" / "src" / "dumbwaiter_django" / "static" / "dumbwaiter"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "dumbwaiter_django",
    "dishes",
]
MIDDLEWARE = [
    # For `--give reference` alone; other forms pass it as they are.
    "dumbwaiter_django.middleware.reference",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# The article's two settings. The handler is not needed behind Dumbwaiter, and does no harm there.
FILE_UPLOAD_HANDLERS = ["uploadprogresscachedhandler.UploadProgressCachedHandler"] + global_settings.FILE_UPLOAD_HANDLERS
CACHES = {
    "default": {
        "BACKEND": os.environ.get("EXAMPLE_CACHE", "django.core.cache.backends.memcached.PyMemcacheCache"),
        "LOCATION": os.environ.get("EXAMPLE_MEMCACHED", "127.0.0.1:11211"),
    }
}

DUMBWAITER = {"KEY_FILE": DATA / "app.key", "FOLDERS": [DATA / "uploads"]}
