"""The view for ``--ask``: Dumbwaiter asks who may, with the client's own cookies, before it reads a body.

::

    urlpatterns = [path("dumbwaiter/ask", Ask.as_view(permission="dishes.add_picture", max_size=20_000_000))]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import Resolver404, resolve
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect

CHANGES = {"upload", "remove"}
"""Acts that change something: another site must not have a visitor's browser do them."""


@dataclass(frozen=True)
class Question:
    """What the client wants of Dumbwaiter."""

    act: str
    """``upload``, ``watch``, ``read``, ``remove`` or ``page``."""
    method: str
    path: str
    """With its query, as the client sent it."""
    length: int | None
    """Bytes of the body, where the client has said so."""
    name: str | None
    """The file's name, where the request's head has it."""
    upload: str | None
    """Which upload, where it is there already."""


@method_decorator([never_cache, csrf_exempt], name="dispatch")
class Ask(View):
    """Says yes to whoever is logged in and has ``permission``; override ``may`` and ``grant`` for anything else.

    Nobody needs to guard it: it tells visitors no more than what they themselves may do.
    """

    http_method_names = ["post"]
    permission: str | Sequence[str] | None = None
    """What an upload needs, as for ``permission_required``; ``None`` needs a login alone."""
    max_size: int | None = None
    """Bytes of the largest file."""
    types: Sequence[str] | None = None
    """Which types the files may have by their first bytes, such as ``image/jpeg``."""
    base: str = "/_dumbwaiter"
    """Below this path Dumbwaiter itself is (``--base``), whatever the project's own addresses would catch."""

    def may(self, request: HttpRequest, question: Question) -> bool:
        """Whether this visitor may do that."""
        if not request.user.is_authenticated or not request.user.is_active:
            return False
        if question.act != "upload" or self.permission is None:
            return True
        needed = [self.permission] if isinstance(self.permission, str) else self.permission
        # A user model without permissions has none to give.
        has: Callable[[Sequence[str]], bool] = getattr(request.user, "has_perms", lambda _: False)
        return has(needed)

    def grant(self, request: HttpRequest, question: Question) -> dict[str, Any]:
        """What goes with a yes: ``owner``, ``max_size``, ``name``, ``types``, ``fields``, as Dumbwaiter's docs say."""
        granted = {"owner": f"user-{request.user.pk}", "max_size": self.max_size, "types": self.types}
        return {name: value for name, value in granted.items() if value is not None}

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Answers the question: 200 with the grant, 403, or 400 where nothing was asked."""
        question = asked(request)
        if question is None:
            return HttpResponse("Only Dumbwaiter asks here.\n", status=400, content_type="text/plain")
        if question.act in CHANGES and not checks_itself(question, self.base):
            return checked(request, self, question)
        return answer(request, self, question)


def asked(request: HttpRequest) -> Question | None:
    """The question in the request's head."""
    said = request.headers.get
    act = said("Dumbwaiter-Act")
    if not act:
        return None
    length = said("Dumbwaiter-Length")
    return Question(
        act=act,
        method=said("Dumbwaiter-Method") or "",
        path=said("Dumbwaiter-Path") or "",
        length=int(length) if length and length.isascii() and length.isdigit() else None,
        name=unquote(name) if (name := said("Dumbwaiter-Name")) is not None else None,
        upload=said("Dumbwaiter-Upload"),
    )


def checks_itself(question: Question, base: str) -> bool:
    """Whether the upload goes to a view of the project. Its form may hold the token, which is not here yet: the view's
    own check sees it, when Dumbwaiter hands the form on."""
    path = unquote(question.path.partition("?")[0])
    if f"{path}/".startswith(f"{base.rstrip('/')}/"):
        return False
    try:
        match = resolve(path)
    except Resolver404:
        return False
    return not getattr(match.func, "csrf_exempt", False)


@csrf_protect
def checked(request: HttpRequest, view: Ask, question: Question) -> HttpResponseBase:
    """The same for what goes to Dumbwaiter itself: the token has to be in the header ``X-CSRFToken``."""
    return answer(request, view, question)


def answer(request: HttpRequest, view: Ask, question: Question) -> HttpResponseBase:
    """The project's word."""
    if view.may(request, question):
        return JsonResponse(view.grant(request, question))
    said = "You may not do this here.\n" if request.user.is_authenticated else "Log in first.\n"
    return HttpResponse(said, status=403, content_type="text/plain")
