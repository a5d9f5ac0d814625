"""failed.jsonl: which pictures could not be captioned, or their captions not written, and why.

An object a line, `image` and `reason`. A picture stays in the list until it is asked for again; the
lists of runs over other pictures are kept.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cutline.errors import UsageError
from cutline.files import cannot_write, check_place, printable, write_text
from cutline.results.lock import one_at_a_time
from cutline.results.names import identity, json_text, stored_identity

__all__ = ["FailureList"]


class FailureList:
    """A list of failures in a file, which is there once there is a failure.

    Args:
        path: of the file.
        images: the pictures of this run; what an earlier run says of them is taken out.

    Attributes:
        count: how many failures of this run it has.

    Raises:
        UsageError: the file is something else, or cannot be written.
    """

    def __init__(self, path: Path, images: Iterable[Path]) -> None:
        self.path = path
        self.count = 0
        check_place(path)
        self._folder = path.resolve().parent
        self._listed = {self._picture(entry) for entry in _entries(path)}
        if self._listed or path.exists():
            self._take_out({identity(image) for image in images})

    def add(self, image: Path | str, reason: str) -> None:
        """List a failure, at once.

        Raises:
            UsageError: it cannot be written.
        """
        line = json_text({"image": str(image), "reason": reason}) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # opened anew each time: another run may have replaced it
            with one_at_a_time(self.path), self.path.open("ab") as stream:
                stream.write(line.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._listed.add(identity(image))
        self.count += 1

    def settle(self, image: Path) -> None:
        """Take out a picture which has a caption after all."""
        if self._listed and (picture := identity(image)) in self._listed:
            self._take_out({picture})

    def _take_out(self, pictures: set[str]) -> None:
        with one_at_a_time(self.path):
            entries = list(_entries(self.path))
            kept = [entry for entry in entries if self._picture(entry) not in pictures]
            self._listed = {self._picture(entry) for entry in kept}
            if len(kept) == len(entries) and _is_whole(self.path):
                return
            if kept:
                write_text(self.path, "".join(f"{json_text(entry)}\n" for entry in kept))
            else:
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)

    def _picture(self, entry: dict[str, Any]) -> str:
        return stored_identity(str(entry["image"]), self._folder)


def _is_whole(path: Path) -> bool:
    """Say whether the last line of a list ends; that of a killed process may not."""
    data = path.read_bytes() if path.exists() else b"\n"
    return data.endswith(b"\n")


def _entries(path: Path) -> Iterable[dict[str, Any]]:
    """Read a list; a last line that is not whole is passed over."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(path, error) from error
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            entry = None
            if number == len(lines):
                continue
        if isinstance(entry, dict) and {"image", "reason"} <= entry.keys():
            yield entry
        elif line.strip():
            raise UsageError(
                f"{printable(path)} is where failures are listed, and holds something else; move "
                "it away, or give --out in another folder."
            )
