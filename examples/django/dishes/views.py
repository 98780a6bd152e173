"""The article's two views, and one as Django's own documentation writes them today."""

import json
import os

from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.forms import ModelForm
from django.http import FileResponse, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import escape
from django.utils.text import get_valid_filename
from django.views.decorators.csrf import ensure_csrf_cookie

from .models import Dish

STORED = "<upload><files><file><name>%s</name><length>%d</length></file></files></upload>"


@ensure_csrf_cookie
def page(request):
  """The article's page."""
  return render(request, "dishes/page.html")


def upload(request):
  """The article's view for "/upload?X-Progress-ID=xxxx"."""
  id = get_valid_filename(request.POST['id'])
  path = os.path.join(settings.MEDIA_ROOT, id)
  f = request.FILES['picture']
  destination = open(path, 'wb+')
  for chunk in f.chunks():
    destination.write(chunk)
  destination.close()
  Dish.objects.update_or_create(id=id, defaults={'picture': id})
  return HttpResponse(STORED % (escape(id), f.size), content_type='application/xml')


def get_upload_progress(request):
  """The article's view for "/get_upload_progress?X-Progress-ID=xxxx"."""
  cache_key = "%s_%s" % (request.META['REMOTE_ADDR'], request.GET['X-Progress-ID'])
  data = cache.get(cache_key)
  return HttpResponse(json.dumps(data))


class DishForm(ModelForm):
  class Meta:
    model = Dish
    fields = ["id", "picture"]


def add(request):
  """A form for the model. It does not know either that somebody else has received the file."""
  form = DishForm(request.POST or None, request.FILES or None)
  if form.is_valid():
    found = form.save()
    messages.success(request, f"Dish {found.id} is on the menu.")
    return redirect("dish", found.id)
  status = 422 if form.errors else 200
  return render(request, "dishes/add.html", {"form": form}, status=status)


def dish(request, id):
  """Says what there is."""
  found = get_object_or_404(Dish, id=id)
  return render(request, "dishes/dish.html", {"dish": found, "bytes": f"{found.picture.size:,}"})


def picture(request, id):
  """Gives the picture back: to keep, never to run in the browser as a page of ours."""
  return FileResponse(get_object_or_404(Dish, id=id).picture.open(), as_attachment=True)
