"""A project whose views know nothing of Dumbwaiter. Its folders are new for each run."""

import atexit
import shutil
import tempfile
from pathlib import Path

BASE = Path(tempfile.mkdtemp(prefix="dumbwaiter-django-")).resolve()
atexit.register(shutil.rmtree, BASE, ignore_errors=True)
(BASE / "uploads").mkdir()
(BASE / "media").mkdir()

SECRET_KEY = "of the tests alone"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.dishes.urls"
STATIC_URL = "/static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": BASE / "cache"}}
MEDIA_ROOT = BASE / "media"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "dumbwaiter_django",
    "tests.dishes",
]
MIDDLEWARE = [
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
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DUMBWAITER = {"KEY": "a key of thirty-two bytes or more", "FOLDERS": [BASE / "uploads"]}
