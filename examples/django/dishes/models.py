"""A dish and its picture, which lies in the storage of the field."""

from django.db import models


class Dish(models.Model):
    """`id` is the article's: what the form's hidden field says."""

    id = models.CharField(primary_key=True, max_length=100)
    picture = models.FileField(upload_to="")
