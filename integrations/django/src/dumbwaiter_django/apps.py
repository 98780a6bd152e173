"""The application: brings the template tag, its script, and the checks of the settings."""

from django.apps import AppConfig
from django.core import checks


class DumbwaiterConfig(AppConfig):
    """``INSTALLED_APPS = [..., "dumbwaiter_django"]``."""

    name = "dumbwaiter_django"
    label = "dumbwaiter"
    verbose_name = "Dumbwaiter"

    def ready(self) -> None:
        """Registers the checks, which ``manage.py check`` and ``runserver`` run."""
        from .checks import check_settings

        checks.register(check_settings, checks.Tags.security)
