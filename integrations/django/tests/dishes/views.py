"""Views as the documentation of Django writes them."""

from django import forms
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from .models import Dish


class DishForm(forms.ModelForm):
    class Meta:
        model = Dish
        fields = ["name", "picture"]


def add(request):
    """A model form."""
    form = DishForm(request.POST, request.FILES)
    if not form.is_valid():
        return JsonResponse(form.errors, status=422)
    return JsonResponse({"picture": form.save().picture.name}, status=201)


@csrf_exempt
def tell(request):
    """All that a view can see of the form."""
    files = [
        {
            "field": field,
            "name": file.name,
            "type": file.content_type,
            "size": file.size,
            "bytes": b"".join(file.chunks()).decode("latin-1"),
        }
        for field, several in request.FILES.lists()
        for file in several
    ]
    post = {name: values for name, values in request.POST.lists()}
    return JsonResponse({"post": post, "files": files, "upload": request.META.get("DUMBWAITER_UPLOAD")})


@csrf_exempt
def handlers(request):
    """Sets its handlers anew, as "Modifying upload handlers on the fly" has it."""
    request.upload_handlers.insert(0, TemporaryFileUploadHandler(request))
    return tell_protected(request)


@csrf_protect
def tell_protected(request):
    return tell(request)


async def asynchronous(request):
    """A view of an ASGI server."""
    return JsonResponse({"files": [file.name for file in request.FILES.values()], "post": request.POST.dict()})


asynchronous.csrf_exempt = True
