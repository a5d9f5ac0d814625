"""A request's body, within limits of bytes and time, as it comes; JSON or a form."""

import asyncio
import binascii
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from cutline.serve.admission import Visit
from cutline.serve.limits import Limits
from cutline.serve.multipart import Form, too_many_images
from cutline.serve.problems import Problem, sentence_of
from cutline.serve.requests import Asked, JsonBody, Options

__all__ = ["discard", "receive"]

FORM, JSON = "multipart/form-data", "application/json"
DATA_URI = re.compile(r"data:[\w.+/-]*;base64,")
ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
DISCARDED = 64_000_000  # bytes of a refused body that are read, so that its sender hears of it
DISCARDING = 2.0  # seconds, likewise
MOST_FIELDS = 16  # of a JSON body; there are five
PARSING = threading.Lock()  # one body at a time is there in several forms
BEYOND_ASCII = re.compile(rb"\\u(?!00[0-7])")  # an escape


async def receive(request: Request, limits: Limits, visit: Visit) -> Asked:
    """Receive what is asked.

    Raises:
        Problem: it is not allowed, or came too slowly.
        ClientDisconnect: its sender is gone.
    """
    kind = _kind(request)
    try:
        async with asyncio.timeout(limits.receive):
            if kind == FORM:
                return await _form(request, limits, visit)
            return await _json(request, limits, visit)
    except TimeoutError:
        raise Problem(
            408,
            "too_slow",
            f"The request did not arrive within {limits.receive:g} s; send it again, or smaller "
            "pictures.",
            headers={"Connection": "close"},
        ) from None


async def discard(request: Request) -> None:
    """Read and drop what is left of a refused body, for a while, so that the answer is read.

    A sender whose connection is closed while it sends may never look at what was answered.
    """
    whole = getattr(request.state, "whole", False)
    if whole or "expect" in request.headers:  # then it waits, and has sent nothing
        return
    left, end = DISCARDED, time.monotonic() + DISCARDING
    try:
        async with asyncio.timeout(DISCARDING):
            while left > 0 and time.monotonic() < end:
                message = await request.receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _kind(request: Request) -> str:
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise Problem(
            415,
            "encoded_body",
            "The body is compressed (Content-Encoding), which is not taken; send it as it is.",
            headers={"Accept-Encoding": "identity"},
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FORM, JSON):
        raise Problem(
            415,
            "unknown_kind",
            f"The body is neither {FORM} nor {JSON}; send a form with a file 'image', or JSON "
            'with "images" in base64.',
            headers={"Accept": f"{FORM}, {JSON}"},
        )
    return kind


async def _form(request: Request, limits: Limits, visit: Visit) -> Asked:
    form = Form(request.headers["content-type"], limits)
    await _stream(request, limits, visit, form.write)
    form.finish()
    options = _checked(Options, form.fields)
    if not form.images:
        raise Problem(422, "no_images", "The form has no picture; add a file named 'image'.")
    return Asked(form.images, options)


async def _json(request: Request, limits: Limits, visit: Visit) -> Asked:
    body = bytearray()
    await _stream(request, limits, visit, body.extend)
    return await asyncio.to_thread(_parsed, body, limits)


def _parsed(body: bytearray, limits: Limits) -> Asked:
    """Parse a JSON body, which is emptied; so is each text when its picture is decoded."""
    with PARSING:
        _check_raw(body, limits)
        tree = _tree(body)
        body.clear()
        if isinstance(tree, dict):
            _check_counts(tree, limits)
        try:
            given = JsonBody.model_validate(tree)
        except ValidationError as error:
            raise _wrong(error, JsonBody) from None
        del tree
        texts = given.images[::-1]
        given.images.clear()
        images: list[bytes] = []
        while texts:
            images.append(_decoded(texts.pop(), len(images) + 1))
    return Asked(images, Options(**given.model_dump(exclude={"images"})))


def _tree(body: bytearray) -> Any:
    try:
        return from_json(body)
    except ValueError:
        raise Problem(400, "broken_json", "The body is no whole JSON; send it again.") from None


def _check_raw(body: bytearray, limits: Limits) -> None:
    """Refuse a body whose parsed form could take far more memory than the body itself.

    Every value but the first of its list or object follows a comma, and a data URI has one. Text
    of ASCII alone takes a byte for each character.
    """
    values = sum(map(body.count, (b",", b"[", b"{")))
    if values > 2 * limits.images + 2 * MOST_FIELDS:
        raise Problem(
            413,
            "too_many_images",
            f"The body has more values than the {limits.images} pictures allowed and their "
            "fields need; send several requests.",
        )
    if not body.isascii() or BEYOND_ASCII.search(body):
        raise Problem(
            422,
            "wrong_field",
            "The body has characters beyond ASCII, which neither a field's name nor base64 has; "
            f"give {', '.join(JsonBody.model_fields)} only.",
        )


def _check_counts(tree: dict[str, Any], limits: Limits) -> None:
    """Refuse too many fields or pictures, before each is looked at."""
    if len(tree) > MOST_FIELDS:
        raise Problem(
            422,
            "wrong_field",
            f"The body has {len(tree):,} fields; give {', '.join(JsonBody.model_fields)} only.",
        )
    images = tree.get("images")
    if isinstance(images, list) and len(images) > limits.images:
        raise too_many_images(limits)


async def _stream(
    request: Request, limits: Limits, visit: Visit, write: Callable[[bytes], Any]
) -> None:
    """Give the body to `write`, as long as it is not too large."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > limits.body:
        raise _too_large(limits)
    seen = 0
    async for data in request.stream():
        seen += len(data)
        if seen > limits.body:
            raise _too_large(limits)
        visit.hold(len(data))
        write(data)
    request.state.whole = True


def _checked(model: type[Options], fields: dict[str, str]) -> Options:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _wrong(error, model) from None


def _wrong(error: ValidationError, model: type[Options]) -> Problem:
    more = ["image"] if model is Options else []
    return Problem(422, "wrong_field", sentence_of(error, [*model.model_fields, *more]))


def _decoded(text: str, number: int) -> bytes:
    if ADDRESS.match(text):
        raise Problem(
            422,
            "url",
            f"Image {number} is an address; none is ever fetched: send the picture's bytes in "
            "base64.",
        )
    found = DATA_URI.match(text[:100])
    try:
        return binascii.a2b_base64(text[found.end() :] if found else text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise Problem(
            400, "broken_base64", f"Image {number} is not in base64; encode the bytes of its file."
        ) from None


def _too_large(limits: Limits) -> Problem:
    return Problem(
        413,
        "too_large",
        f"The request has more than the {limits.body / 1e6:g} MB allowed; send fewer or smaller "
        "pictures.",
    )
