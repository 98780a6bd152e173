"""A dish and its picture."""

from django.db import models


class Dish(models.Model):
    """As any project has it."""

    name = models.CharField(max_length=100)
    picture = models.FileField(upload_to="pictures")
