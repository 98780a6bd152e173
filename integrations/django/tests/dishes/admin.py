"""The admin's own form for dishes."""

from django.contrib import admin

from .models import Dish

admin.site.register(Dish)
