"""The article's addresses, a form of today's beside them, and the files of the page."""

from django.conf import settings
from django.urls import path, re_path
from django.views.static import serve

from dishes import views
from dumbwaiter_django.views import Ask

# jQuery, the style and the script are those of the example without Django. A site of yours lets nginx serve such files.
PAGE = settings.HERE.parent / "article" / "page"

urlpatterns = [
    path("", views.page),
    path("upload", views.upload),
    path("get_upload_progress", views.get_upload_progress),
    path("dishes/add", views.add),
    path("dishes/<str:id>", views.dish, name="dish"),
    path("dishes/<str:id>/picture", views.picture),
    # For `--ask`, which start.py does not set: whoever may add dishes uploads.
    path("dumbwaiter/ask", Ask.as_view(permission="dishes.add_dish", max_size=20_000_000)),
    re_path(r"^static/dumbwaiter/(?P<path>.*)$", serve, {"document_root": settings.STATIC}),
    re_path(r"^static/(?P<path>.*)$", serve, {"document_root": PAGE}),
]
