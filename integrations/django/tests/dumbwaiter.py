"""Forms as Dumbwaiter hands them on, signed by PyJWT: what is proved here is that the two understand each other."""

import hashlib
import itertools
import time
import uuid
from pathlib import Path

import jwt
from django.conf import settings

BOUNDARY = "a-boundary-of-our-own"
NUMBERS = itertools.count()


def stored(content=b"paella", name="paella.jpg", folder=None):
    """A file as it lies when Dumbwaiter has received it."""
    path = Path(folder or settings.BASE / "uploads") / f"{next(NUMBERS)}-{name}"
    path.write_bytes(content)
    return path


def stated(path, field="picture", **other):
    """What the statement says of it."""
    content = Path(path).read_bytes() if Path(path).is_file() else b""
    said = {"field": field, "name": "paella.jpg", "path": str(path), "content_type": "image/jpeg", "size": len(content)}
    return {**said, "sha256": hashlib.sha256(content).hexdigest(), **other}


def statement(files, *, path="/tell", key=None, header=None, algorithm="HS256", **other):
    """Signs it. What is among ``other`` takes the place of what Dumbwaiter would say; ``None`` leaves it out."""
    now = int(time.time())
    claims = {"iss": "dumbwaiter", "aud": "statement", "iat": now, "exp": now + 300, "jti": uuid.uuid4().hex}
    claims |= {"method": "POST", "path": path, "upload": "an-upload", "files": files, **other}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, settings.DUMBWAITER["KEY"] if key is None else key, algorithm=algorithm, headers=header)


def written(files):
    """The fields that stand for the files."""
    return [(f"{file['field']}.{what}", str(file[what])) for file in files for what in file if what != "field"]


def body(fields, files=()):
    """A form of these fields, and of files as a browser sends them."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields]
    parts += [f'Content-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n{text}' for name, file, text in files]
    return "".join(f"--{BOUNDARY}\r\n{part}\r\n" for part in parts).encode() + f"--{BOUNDARY}--\r\n".encode()


def post(client, path, fields, files=(), method="POST", **extra):
    """Sends it."""
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return client.generic(method, path, body(fields, files), content_type=kind, **extra)


def refer(client, path, files, fields=(), **other):
    """Sends the form as Dumbwaiter does: the statement first, then the fields in order."""
    token = statement(files, path=path, **other)
    return post(client, path, [("dumbwaiter.statement", token), *fields, *written(files)])
