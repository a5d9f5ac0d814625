"""The parts of a form (RFC 7578), as its bytes come; everything stays in memory."""

from email.message import Message
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from cutline.serve.limits import Limits
from cutline.serve.problems import Problem

__all__ = ["Form", "too_many_images"]

IMAGE_FIELDS = ("image", "images")
MOST_HEADERS, LONGEST_HEADER = 8, 1_000


class Form:
    """A form that is being received: `images`, the bytes of its pictures, and its other `fields`.

    Raises:
        Problem: it is no form (400), or has too many pictures or parts, or too long a field (413).
    """

    def __init__(self, content_type: str, limits: Limits) -> None:
        self.images: list[bytes] = []
        self.fields: dict[str, str] = {}
        self._limits = limits
        self._parts = 0
        self._part = bytearray()
        self._name = ""
        self._header = [bytearray(), bytearray()]
        self._ended = False
        boundary = _parameter(content_type, "boundary")
        if not 1 <= len(boundary) <= 70:
            raise _broken("its Content-Type has no boundary of 1 to 70 characters")
        try:
            self._parser = MultipartParser(
                boundary.encode("latin-1", "replace"),
                self._callbacks(),
                max_header_count=MOST_HEADERS,
                max_header_size=LONGEST_HEADER,
            )
        except (MultipartParseError, ValueError):
            raise _broken("its boundary cannot be used") from None

    def write(self, data: bytes) -> None:
        """Read the next bytes."""
        try:
            self._parser.write(data)
        except MultipartParseError:
            raise _broken("its parts are not as RFC 7578 has them") from None

    def finish(self) -> None:
        """Check that the last part was whole."""
        if not self._ended:
            raise _broken("its end is missing")

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_end,
            "on_end": self._on_form_end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.parts:
            raise Problem(
                413,
                "too_many_parts",
                f"The form has more than the {self._limits.parts} parts allowed; send fewer.",
            )
        self._part, self._name, self._header = bytearray(), "", [bytearray(), bytearray()]

    def _on_header(self) -> None:
        name, value = (bytes(part).decode("utf-8", "replace") for part in self._header)
        if name.lower() == "content-disposition":
            self._name = _parameter(value, "name")
        self._header = [bytearray(), bytearray()]

    def _on_headers(self) -> None:
        if not self._name:
            raise _broken("one of its parts has no name")
        if self._name in IMAGE_FIELDS and len(self.images) >= self._limits.images:
            raise too_many_images(self._limits)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._part += memoryview(data)[start:end]
        if self._name not in IMAGE_FIELDS and len(self._part) > self._limits.field:
            raise Problem(
                413,
                "field_too_long",
                f"A field of the form has more than {self._limits.field:,} bytes; pictures go into "
                "the field 'image'.",
            )

    def _on_end(self) -> None:
        if self._name in IMAGE_FIELDS:
            self.images.append(bytes(self._part))
        elif self._name in self.fields:
            raise Problem(422, "field_twice", f"The field '{self._name[:60]}' stands twice.")
        else:
            self.fields[self._name] = bytes(self._part).decode("utf-8", "replace").strip()
        self._part = bytearray()

    def _on_form_end(self) -> None:
        self._ended = True


def too_many_images(limits: Limits) -> Problem:
    """Return the problem of a request with more pictures than are allowed."""
    return Problem(
        413,
        "too_many_images",
        f"The request has more than the {limits.images} pictures allowed; send several requests.",
    )


def _parameter(header: str, name: str) -> str:
    message = Message()
    message["content-type"] = header.replace("\r", " ").replace("\n", " ")
    value = message.get_param(name)
    return value if isinstance(value, str) else ""


def _broken(why: str) -> Problem:
    return Problem(400, "broken_form", f"The body is no whole form: {why}; send it again.")
