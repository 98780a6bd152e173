"""Sends a file with tuspy: send.py ENDPOINT FILE OPTIONS, where OPTIONS is JSON for the uploader.

Says in lines of JSON what goes on: the upload's URL, after which it waits for a line on its input, each request with its
answer, and the end. Two of the options are its own: "async" takes the asynchronous uploader, "list" names a file in which
tuspy keeps the URLs of what it has begun.
"""

import asyncio
import json
import sys

import requests
from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage


def say(**what):
    print(json.dumps(what), flush=True)


def note(send):
    """Requests are noted where they leave, and answers where they come."""

    def sent(session, request, **options):
        answer = send(session, request, **options)
        at, offset = request.headers.get("upload-offset"), answer.headers.get("upload-offset")
        say(method=request.method, at=at, status=answer.status_code, offset=offset)
        return answer

    return sent


requests.Session.send = note(requests.Session.send)


async def main(endpoint, path, options):
    is_async = options.pop("async", False)
    if "list" in options:
        options.update(store_url=True, url_storage=FileStorage(options.pop("list")))
    client = TusClient(endpoint)
    uploader = (client.async_uploader if is_async else client.uploader)(path, **options)
    if uploader.url is None:
        created = uploader.create_url()
        uploader.set_url(await created if is_async else created)
    say(url=uploader.url)
    sys.stdin.readline()
    uploading = uploader.upload()
    if is_async:
        await uploading
    say(ended=uploader.offset)


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
