"""Check that matplotlib, which draws PNG and GIF, is installed."""

from importlib.util import find_spec

from cutline.errors import MissingDependencyError

__all__ = ["check_matplotlib"]


def check_matplotlib(
    what: str = "A picture of attention", otherwise: str = "a page ending in .html does not"
) -> None:
    """Refuse `what` where matplotlib is not installed, and say what can be had without it."""
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(what, extra="explain", otherwise=otherwise)
