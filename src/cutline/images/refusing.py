"""Refusals: precise errors for kinds of pictures that are not read."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image

from cutline.errors import ImageError
from cutline.images.kinds import RAW_SUFFIXES, Kind, kind_of_bytes, register_heif
from cutline.images.png import has_end

__all__ = ["refuse_cut", "refuse_foreign", "refuse_raw"]

_HEAD = 1024  # bytes; an SVG begins with a comment now and then
_DNG_VERSION = 50706  # a tag of TIFF
_VIDEO = (b"isom", b"mp42", b"mp41", b"qt  ", b"iso2", b"avc1", b"M4V ", b"3gp4", b"3gp5")


def refuse_foreign(stream: BinaryIO, name: str) -> None:
    """Raise `ImageError` for bytes that are known to be of a kind that cannot be read."""
    head = stream.read(_HEAD)
    stream.seek(0)
    kind = kind_of_bytes(head)
    if head[4:8] == b"ftyp" and head[8:12] in _VIDEO:
        raise ImageError(f"{name} is a video, not a picture; save one of its frames as a JPEG.")
    if head.startswith(b"%PDF"):
        raise ImageError(f"{name} is a PDF, not a picture; save its page as a JPEG or PNG.")
    if kind is not None and not kind.readable:
        _refuse(name, kind)
    if kind is not None and kind.name == "TIFF" and Path(name).suffix.lower() in RAW_SUFFIXES:
        _refuse_raw(name)
    if kind is not None and kind.name == "HEIC" and not register_heif():
        _refuse(name, kind)


def refuse_cut(stream: BinaryIO, name: str) -> None:
    """Raise `ImageError` for a PNG or GIF without its end, which Pillow does not miss."""
    head = stream.read(8)
    stream.seek(-min(_HEAD, stream.seek(0, 2)), 2)
    tail = stream.read()
    stream.seek(0)
    cut = (head.startswith(b"GIF8") and not (tail.endswith(b";") or b"\0;" in tail)) or (
        head.startswith(b"\x89PNG") and not has_end(stream)
    )
    stream.seek(0)
    if cut:
        raise ImageError(f"{name} is cut short: its end is missing; copy it again.")


def refuse_raw(image: Image.Image, name: str) -> None:
    """Raise `ImageError` for a camera's raw file that looks like a TIFF (with a thumbnail)."""
    if _DNG_VERSION in getattr(image, "tag_v2", {}):
        _refuse_raw(name)


def _refuse_raw(name: str) -> None:
    _refuse(name, Kind("RAW", readable=False))


def _refuse(name: str, kind: Kind) -> None:
    what = "a camera's raw file" if kind.name == "RAW" else f"{kind} file"
    raise ImageError(f"{name} is {what}, which cannot be read here; {kind.remedy('it')}.")
