"""Storage: local folders and addresses such as `s3://bucket/photos`, through pyarrow or fsspec.

pyarrow's own file systems come first (`s3`, `gs`, `hdfs`, ...), with what an address says of its
server (`?endpoint_override=...`); any other scheme is asked of fsspec.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from cutline.errors import DataError, UsageError, missing_dependency
from cutline.files import printable, written
from cutline.images import MAX_BYTES
from cutline.images.sources import reason
from cutline.untrusted import shortened

__all__ = ["Folder", "Storage", "ahead", "is_address", "too_large"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_QUERY = re.compile(r"\?[a-z_]+=")  # else a question mark belongs to a glob
_GLOB = re.compile(r"[*?[]")
_DRAFT = re.compile(r"\.[0-9a-f]{16}\.part")

S = TypeVar("S")
T = TypeVar("T")


def is_address(text: str) -> bool:
    """Say whether a text is an address with a scheme, not a local path."""
    return _SCHEME.match(text) is not None


def too_large(name: str, size: int) -> str:
    """Return the sentence for a picture of more than `MAX_BYTES`."""
    return (
        f"{printable(name)} has {size / 1e6:,.0f} MB, and a picture at most {MAX_BYTES / 1e6:.0f}; "
        "give a smaller one."
    )


class Storage:
    """The file system of an address, or this machine's files.

    Args:
        address: of a file or folder; empty for this machine's files.

    Attributes:
        path: where the address points to, as its file system writes it.
    """

    def __init__(self, address: str = "") -> None:
        self.address = address
        self._system: Any = None
        self.path = ""
        if address:
            self._system, self.path = _opened(address)

    def name(self, path: str) -> str:
        """Return a path as captions call it: with its scheme, without keys and servers."""
        found = _SCHEME.match(self.address)
        return path if found is None else f"{found[1]}://{path}"

    def open(self, path: str) -> Any:
        """Open a file to be read, as a pyarrow file that can seek.

        Raises:
            DataError: it cannot be opened.
        """
        import pyarrow as pa

        try:
            if self._system is None:
                return pa.OSFile(os.fsencode(path), "rb")
            return self._system.open_input_file(path)
        except Exception as error:
            raise self.fault(path, error) from None

    def read(self, path: str) -> bytes:
        """Read a picture's file whole.

        Raises:
            DataError: it cannot be read, or is larger than a picture is.
        """
        with self.open(path) as stream:
            if (size := stream.size()) > MAX_BYTES:
                raise DataError(too_large(self.name(path), size))
            try:
                data: bytes = stream.read()
            except OSError as error:
                raise self.fault(path, error) from None
            return data

    def size(self, path: str) -> int:
        """Return the bytes of a file."""
        with self.open(path) as stream:
            return int(stream.size())

    def files(self) -> list[str]:
        """Return the files that the address means: itself, those below it, or those of its glob.

        Hidden ones are left out.

        Raises:
            DataError: the address cannot be listed.
        """
        from fsspec.implementations.arrow import ArrowFSWrapper

        system = ArrowFSWrapper(self._system)
        try:
            if _GLOB.search(self.path):
                found = system.glob(self.path)
                files = [path for path in found if not system.isdir(path)]
            else:
                files = system.find(self.path)
        except Exception as error:
            raise self.fault(self.path, error) from None
        start = len(self.path.rstrip("/"))
        if marks := _GLOB.search(self.path):
            start = self.path.rfind("/", 0, marks.start()) + 1
        return sorted(path for path in map(str, files) if not _is_hidden(path[start:]))

    def children(self) -> set[str]:
        """Return the names in the folder that the address is; none where there is no folder."""
        from pyarrow import fs

        assert self._system is not None
        try:
            selector = fs.FileSelector(self.path, allow_not_found=True)
            return {info.base_name for info in self._system.get_file_info(selector)}
        except Exception as error:
            raise self.fault(self.path, error) from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file in the folder that the address is, whole: under another name, then moved.

        Raises:
            UsageError: it cannot be written.
        """
        assert self._system is not None
        path = f"{self.path.rstrip('/')}/{name}"
        draft = f"{self.path.rstrip('/')}/.{os.urandom(8).hex()}.part"
        try:
            self._system.create_dir(self.path, recursive=True)
            with self._system.open_output_stream(draft) as stream:
                stream.write(data)
            self._system.move(draft, path)
        except Exception as error:
            raise UsageError(
                f"{printable(self.name(path))} cannot be written ({_first(error)}); give another "
                "place."
            ) from None

    def delete(self, name: str) -> None:
        """Delete a file in the folder that the address is, if that may be done."""
        assert self._system is not None
        with suppress(Exception):  # another run finds it again
            self._system.delete_file(f"{self.path.rstrip('/')}/{name}")

    def fault(self, path: str, error: BaseException) -> DataError:
        """Return the sentence for a file that cannot be read."""
        return DataError(f"{printable(self.name(path))} cannot be read ({_first(error)}).")


class Folder:
    """A folder of shards, local or at an address."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._storage = Storage(place) if is_address(place) else None

    def names(self) -> set[str]:
        """Return what is in it; nothing where it does not exist.

        Raises:
            UsageError: it is a file.
            DataError: it cannot be listed.
        """
        if self._storage is not None:
            return self._storage.children()
        try:
            return set(os.listdir(self.place))  # noqa: PTH208 - names
        except FileNotFoundError:
            return set()
        except NotADirectoryError:
            raise UsageError(
                f"{printable(self.place)} is a file, and --ray writes a folder of shards; give "
                "another name."
            ) from None
        except OSError as error:
            raise DataError(
                f"{printable(self.place)} cannot be listed ({reason(error)})."
            ) from None

    def cleared(self) -> set[str]:
        """Delete the drafts of workers that were killed; return the names of all other files."""
        names = self.names()
        drafts = {name for name in names if _DRAFT.fullmatch(name)}
        for name in drafts:
            if self._storage is not None:
                self._storage.delete(name)
            else:
                with suppress(OSError):
                    Path(self.place, name).unlink()
        return names - drafts

    def read(self, name: str) -> bytes:
        """Read one of its files."""
        if self._storage is not None:
            return self._storage.read(f"{self._storage.path.rstrip('/')}/{name}")
        return Storage().read(os.path.join(self.place, name))  # noqa: PTH118 - may have any bytes

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole, or not at all."""
        if self._storage is not None:
            self._storage.write(name, data)
            return
        with written(Path(self.place, name)) as draft:
            draft.write_bytes(data)


def ahead(work: Callable[[S], T], items: Iterable[S], *, count: int) -> Iterator[tuple[S, T]]:
    """Yield each item with its result, `count` of them computed ahead in as many threads."""
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[tuple[S, Future[T]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > count:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _opened(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and where in it the address points to."""
    base, query = address.split("?", 1) if _QUERY.search(address) else (address, "")
    root = _SCHEME.match(base)
    assert root is not None
    bucket, _, rest = base[root.end() :].partition("/")
    try:
        system, start = _system(root[0] + bucket + ("?" if query else "") + query)
    except ModuleNotFoundError as error:
        raise missing_dependency(f"{root[0]}", error) or error from None
    except Exception as error:  # each file system has errors of its own
        raise DataError(
            f"{printable(root[0])}{printable(bucket.rpartition('@')[2])} cannot be opened "
            f"({_first(error)}); give a path, or an address such as s3://bucket/photos."
        ) from None
    return system, f"{start.rstrip('/')}/{rest}" if rest else start


@lru_cache(maxsize=64)
def _system(root: str) -> tuple[Any, str]:
    """Ask pyarrow for a file system, and fsspec where pyarrow has none of that scheme."""
    import fsspec
    import pyarrow as pa
    from pyarrow import fs

    try:
        system, path = fs.FileSystem.from_uri(root)
        return system, str(path)
    except pa.ArrowInvalid as error:
        if "Unrecognized filesystem" not in str(error):
            raise
    system, path = fsspec.core.url_to_fs(root)
    return fs.PyFileSystem(fs.FSSpecHandler(system)), str(path)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _first(error: BaseException) -> str:
    """Return the first line of what a file system says, which may say pages."""
    return shortened(str(error).strip().partition("\n")[0].rstrip(".") or reason(error))
