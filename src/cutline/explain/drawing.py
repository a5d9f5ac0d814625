"""Check that matplotlib, which draws PNG and GIF, is installed."""

from importlib.util import find_spec

from cutline.errors import MissingDependencyError

__all__ = ["check_matplotlib"]


def check_matplotlib() -> None:
    """Refuse where matplotlib is not installed, and say what can be had without it."""
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "A picture of attention", extra="explain", otherwise="a page ending in .html does not"
        )
