"""A Django project of two views, one of which is a page: a form's picture goes, chunk by chunk, into a file named by the form's field "id".

Upload handlers are Django's defaults: a file above 2.5 MB is first a temporary file, here on the same disk. Nothing
tracks progress, which would cost more. PICTURES names the folder.
"""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

PICTURES = os.environ["PICTURES"]

settings.configure(
    ALLOWED_HOSTS=["*"],
    FILE_UPLOAD_TEMP_DIR=os.path.join(PICTURES, "tmp"),
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for measuring",
)


def upload(request):
    target = os.path.join(PICTURES, os.path.basename(request.POST["id"]))
    with open(target, "wb") as destination:
        for chunk in request.FILES["picture"].chunks():
            destination.write(chunk)
    return HttpResponse(status=204)


def page(request):
    return HttpResponse("<!doctype html><title>Dishes</title><p>Paella")


urlpatterns = [path("upload", upload), path("page", page)]
application = get_wsgi_application()
