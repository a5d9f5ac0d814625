"""Files that are whole or not there: written under another name, then renamed."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cutline.errors import UsageError

__all__ = ["check_free", "written"]


def check_free(path: str | Path, *, overwrite: bool) -> Path:
    """Return `path` if a file may be written there, before any work is done for it.

    Folders are not created: a mistyped one would be, too.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file in it.")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists; give another name or --force.")
    if not path.parent.is_dir():
        raise UsageError(f"The folder {path.parent} does not exist; create it or name another.")
    return path


@contextmanager
def written(path: str | Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` when all went well."""
    path = check_free(path, overwrite=overwrite)
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{path} cannot be written ({reason}); name another place.") from error
    finally:
        draft.unlink(missing_ok=True)
