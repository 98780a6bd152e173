"""``{% load dumbwaiter %}{% dumbwaiter_form form %}``: a form with a bar."""

from __future__ import annotations

from typing import Any

from django import template
from django.forms import BaseForm
from django.templatetags.static import static

register = template.Library()


@register.inclusion_tag("dumbwaiter/form.html", takes_context=True)
def dumbwaiter_form(
    context: template.Context, form: BaseForm | None = None, action: str = "", submit: str = "Send", base: str = "/_dumbwaiter"
) -> dict[str, Any]:
    """Makes a form with the CSRF token, the fields of ``form`` (its files among them), a button, and a bar.

    ``action`` is where it is sent, one of Dumbwaiter's upload paths; the page's own address where it is not given.
    ``base`` is where Dumbwaiter itself is, which has the script too. Without script, or without Dumbwaiter, it is a plain
    form.
    """
    return {
        "form": form,
        "action": action,
        "submit": submit,
        "base": base.rstrip("/"),
        "style": static("dumbwaiter/form.css"),
        "csrf_token": context.get("csrf_token"),
    }
