"""Limits of the service: bytes, pixels, pictures, parts, time."""

from dataclasses import dataclass

__all__ = ["Limits"]

MEGABYTE = 1_000_000
OTHER_PARTS = 48  # of a form, besides its pictures


@dataclass(frozen=True)
class Limits:
    """Limits of one service.

    Attributes:
        body: bytes of a request.
        images: pictures of a request.
        pixels: of a picture; found out before any is decoded.
        field: bytes of a form's field that is no picture.
        receive: seconds that a request may take to arrive: its headers, and then its body.
        answer: seconds that captioning may take, the wait for others included.
        send: seconds that an answer may take to be read.
        queue: requests that are taken at a time; further ones are told to come again.
        held: bytes of all bodies that are held at a time.
        connections: that are open at a time.
        batch: pictures that are captioned together.
    """

    body: int = 32 * MEGABYTE
    images: int = 16
    pixels: int = 50_000_000
    field: int = 1_000
    receive: float = 20.0
    answer: float = 60.0
    send: float = 30.0
    queue: int = 128
    held: int = 128 * MEGABYTE
    connections: int = 1_000
    batch: int = 32

    @property
    def parts(self) -> int:
        """Parts of a form."""
        return self.images + OTHER_PARTS
