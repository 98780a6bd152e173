"""Where the views are."""

from django.contrib import admin
from django.urls import path

from dumbwaiter_django.views import Ask

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("add", views.add),
    path("tell", views.tell),
    path("tell/<str:what>", lambda request, what: views.tell(request)),
    path("_dumbwaiter/caught", views.add),
    path("handlers", views.handlers),
    path("asynchronous", views.asynchronous),
    path("ask", Ask.as_view(permission="dishes.add_dish", max_size=1000, types=["image/jpeg"])),
]
