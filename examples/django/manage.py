"""Django's own commands, for this project."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "integrations" / "django" / "src"))
    execute_from_command_line(sys.argv)
