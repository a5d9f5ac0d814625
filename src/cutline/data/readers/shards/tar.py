"""WebDataset tars: `KEY.jpg` beside `KEY.txt` or `KEY.json`, members of one key one after another.

A key ends at the first dot of a member's name. Nothing is unpacked: pictures are read from the tar
by their offset. Members that are links, sparse, pickled or too large are left out and named, and
no size that a header claims is read before it is compared with the file's.
"""

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from cutline.data.readers.shards.sample import (
    LARGEST_NAME,
    LARGEST_TEXT,
    Findings,
    Sample,
    storable,
)
from cutline.data.readers.sidecars import SIDECARS, captions_in
from cutline.images import IMAGE_SUFFIXES, MAX_BYTES

__all__ = ["samples"]

_BLOCK = 512
_PICKLED = (".pyd", ".pickle", ".pkl", ".pth", ".pt", ".npy", ".npz", ".joblib")

_NO_FILE = "left out {} that are no plain files, such as links: {}."
_PICKLES = "left out {} that may hold Python objects, which are never unpickled: {}."
_LARGE = "left out {} larger than a picture (256 MB) or a text (1 MB) may be: {}."
_NOT_TEXT = "left out {} of captions that are not UTF-8 text: {}."
_MORE = "left out {} beside another picture of the same key: {}."
_NO_PICTURE = "left out {} of captions without a picture: {}."
_UNSURE = "left out {} that a model captioned and was unsure of ('perhaps: '): {}."


class _Member(NamedTuple):
    name: str
    offset: int
    size: int


class _Bounded:
    """A file of which no header can make more be read at once than a caption may have."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_TEXT:
            raise tarfile.ReadError("a header claims an absurd size")
        return self.file.read(size)


def samples(path: Path, found: Findings) -> Iterator[Sample]:
    """Yield the images of one tar that have a picture and captions, in their order.

    What is left out, and where the tar is damaged or cut short, is told to `found`; the members
    before are yielded.
    """
    with path.open("rb") as file:
        key, members = "", list[_Member]()
        for member in _members(file, path, found):
            if (its := _key(member.name)) != key:
                yield from _sample(file, members, found)
                key, members = its, []
            members.append(member)
        yield from _sample(file, members, found)


def _members(file: BinaryIO, path: Path, found: Findings) -> Iterator[_Member]:
    size = os.fstat(file.fileno()).st_size
    count, end = 0, -1
    try:
        with tarfile.open(fileobj=_Bounded(file), mode="r:") as tar:  # type: ignore[call-overload]
            while (info := tar.next()) is not None:
                tar.members.clear()  # it would remember all
                if tar.offset <= end:
                    raise tarfile.ReadError("a header claims a negative size")
                end = tar.offset
                if info.offset_data + info.size > size and info.isreg():
                    raise tarfile.ReadError("its last member is not whole")
                member = _usable(info, found)
                if member is not None:
                    count += 1
                    yield member
            file.seek(tar.offset)
            if file.read(_BLOCK).strip(b"\0"):
                raise tarfile.ReadError(f"no header at byte {tar.offset:,}")
            if tar.offset + _BLOCK > size:
                raise tarfile.ReadError("it has no end mark")
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
        if _compressed(file):
            found.damage = f"{path} is compressed, so nothing in it can be found; unpack it: gunzip"
        elif count:
            found.damage = (
                f"{path} is damaged or cut short ({error}); the {count:,} members before are used"
            )
        else:
            found.damage = f"{path} is no tar, or damaged at its start ({error})"


def _compressed(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))


def _usable(info: tarfile.TarInfo, found: Findings) -> _Member | None:
    name = storable(info.name.removeprefix("./"))
    shown = name[:LARGEST_NAME]
    if info.isdir() or not _key(name):
        return None
    if not info.isreg() or info.issparse():
        found.leave(_NO_FILE, shown)
    elif name.lower().endswith(_PICKLED):
        found.leave(_PICKLES, shown)
    elif len(name) > LARGEST_NAME or info.size > _largest(name):
        found.leave(_LARGE, shown)
    else:
        return _Member(name, info.offset_data, info.size)
    return None


def _largest(name: str) -> int:
    return MAX_BYTES if _suffix(name) in IMAGE_SUFFIXES else LARGEST_TEXT


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _key(name: str) -> str:
    """Return what WebDataset calls the key: the name up to the first dot behind its folder.

    >>> _key("a/0001.jpg"), _key("a/0001.seg.png"), _key("a/._0001.jpg")
    ('a/0001', 'a/0001', '')
    """
    folder, slash, base = name.rpartition("/")
    stem = base.partition(".")[0]
    return folder + slash + stem if stem else ""


def _sample(file: BinaryIO, members: list[_Member], found: Findings) -> Iterator[Sample]:
    """Yield the image of one key, if it is one."""
    pictures = [one for one in members if _suffix(one.name) in IMAGE_SUFFIXES]
    texts = {_suffix(one.name): one for one in members if _suffix(one.name) in SIDECARS}
    for one in pictures[1:]:
        found.leave(_MORE, one.name)
    if not pictures:
        for one in texts.values():
            found.leave(_NO_PICTURE, one.name)
        return
    about = _json(file, texts)
    captions, unsure = list[str](), False
    for suffix in (suffix for suffix in SIDECARS if suffix in texts):
        try:
            captions, unsure = captions_in(_read(file, texts[suffix]).decode("utf-8-sig"), suffix)
        except UnicodeDecodeError:
            found.leave(_NOT_TEXT, texts[suffix].name)
        if captions:
            break
    name, split = about.get("image_id"), about.get("split")
    if unsure:
        found.leave(_UNSURE, pictures[0].name)
        return
    yield Sample(
        name if isinstance(name, str) and 0 < len(name) <= LARGEST_NAME else pictures[0].name,
        pictures[0].offset,
        pictures[0].size,
        captions,
        split if isinstance(split, str) else None,
    )


def _json(file: BinaryIO, texts: dict[str, _Member]) -> dict[str, Any]:
    if ".json" not in texts:
        return {}
    try:
        content = json.loads(_read(file, texts[".json"]))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read(file: BinaryIO, member: _Member) -> bytes:
    return os.pread(file.fileno(), member.size, member.offset)
