"""Puts the handler before all others, for any request; what is not by Dumbwaiter passes as ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Union, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from .handler import ReferenceHandler

Answer = Union[HttpResponseBase, Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def reference(get_response: Callable[[HttpRequest], Answer]) -> Callable[[HttpRequest], Answer]:
    """``MIDDLEWARE = ["dumbwaiter_django.middleware.reference", ...]``: before whatever reads ``request.POST``, such as
    ``CsrfViewMiddleware``. The form is read when somebody first asks for it, not here.
    """

    if iscoroutinefunction(get_response):

        async def awaited(request: HttpRequest) -> HttpResponseBase:
            prepare(request)
            return await cast(Awaitable[HttpResponseBase], get_response(request))

        return awaited

    def called(request: HttpRequest) -> Answer:
        prepare(request)
        return get_response(request)

    return called


def prepare(request: HttpRequest) -> None:
    """The handler takes part in the request's form, should it have one."""
    request.upload_handlers.insert(0, ReferenceHandler(request))
