"""The upload handler that turns a form by Dumbwaiter into ``request.POST`` and ``request.FILES``.

Django asks its handlers, first of all, whether one of them takes the whole body
(``FileUploadHandler.handle_raw_input``). This one has Django's own parser read the form, with the handlers that there
are besides; where a statement is among the fields, the files that it names take the place of what Dumbwaiter wrote.
Whatever else holds for forms, holds: the project's limits, its other handlers, the CSRF token among the fields.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import TooManyFilesSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.datastructures import MultiValueDict

from . import statement as statements
from .conf import Options, options
from .received import ReceivedFile
from .signed import Forged
from .statement import FIELD, Statement

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

    Files = MultiValueDict[str, UploadedFile[bytes]]
    Forms = tuple[QueryDict, Files]

log = logging.getLogger("django.security.dumbwaiter")

WRITTEN = ("name", "path", "content_type", "size", "sha256")
"""What Dumbwaiter writes of a file F, each as the field ``F.`` and this."""


class ReferenceHandler(FileUploadHandler):
    """Stands before all others in ``request.upload_handlers``; the middleware puts it there."""

    request: HttpRequest

    def handle_raw_input(
        self, input_data: Any, META: dict[str, str], content_length: int, boundary: Any, encoding: str | None = None
    ) -> Forms:
        """Parses the form; a statement in it that is not good is a bad request (400), and the log says why."""
        others = [handler for handler in self.request.upload_handlers if not isinstance(handler, ReferenceHandler)]
        post, files = MultiPartParser(META, input_data, others, encoding).parse()
        if FIELD not in post:
            return post, files
        try:
            return refer(self.request, post, files)
        except Forged as error:
            log.warning("refused at %s: the statement %s", self.request.path, error)
            for file in everyone(files):
                file.close()
            raise MultiPartParserError("This form was not made by Dumbwaiter for this request.") from error

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Not called: the body has been read by then. Passes on what it gets."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Not called, as above; has no file of its own."""
        return None


def refer(request: HttpRequest, post: QueryDict, files: Files) -> Forms:
    """Gives the form as it was sent: without what Dumbwaiter wrote, and with the files that it received."""
    chosen = options()
    said = post.getlist(FIELD)
    if len(said) != 1:
        raise Forged("comes more than once")
    statement = statements.read(said[0], chosen)
    if not statements.is_for(statement, request.method or "", request.path, request.META.get("QUERY_STRING", "")):
        raise Forged("is for another request")
    if files:
        raise Forged("comes together with files")
    limit = settings.DATA_UPLOAD_MAX_NUMBER_FILES
    if limit is not None and len(statement.files) > limit:
        raise TooManyFilesSent("The number of files exceeded settings.DATA_UPLOAD_MAX_NUMBER_FILES.")
    received = opened(statement, chosen)
    if not statements.use(statement, chosen.cache):
        for file in everyone(received):
            file.close()
        raise Forged("was used before")
    request.META["DUMBWAITER_UPLOAD"] = statement.upload
    if statement.owner is not None:
        request.META["DUMBWAITER_OWNER"] = statement.owner
    return without(post, statement), received


def opened(statement: Statement, chosen: Options) -> Files:
    """Opens every file that the statement names, or none."""
    files: Files = MultiValueDict()
    try:
        for stated in statement.files:
            files.appendlist(stated.field, ReceivedFile(stated, chosen.folders))
    except Forged:
        for file in everyone(files):
            file.close()
        raise
    return files


def without(post: QueryDict, statement: Statement) -> QueryDict:
    """The fields that the client sent."""
    written = {FIELD} | {f"{file.field}.{what}" for file in statement.files for what in WRITTEN}
    kept = QueryDict(mutable=True, encoding=post.encoding)
    for name, values in post.lists():
        if name not in written:
            kept.setlist(name, values)
    kept._mutable = False
    return kept


def everyone(files: Files) -> list[Any]:
    """All files, of whatever field."""
    return [file for _, several in files.lists() for file in several]
