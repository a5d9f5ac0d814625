"""Cutline: train, measure, look inside and serve neural image captioners.

>>> import cutline
>>> captioner = cutline.load("runs/demo/model")             # doctest: +SKIP
>>> captioner.caption("photo.jpg").text                     # doctest: +SKIP
'a large red circle and a small blue square'
"""

from typing import TYPE_CHECKING, Any

from cutline.errors import CutlineError

if TYPE_CHECKING:
    from cutline.captioner import Caption, Captioner, load

__version__ = "0.1.0"

__all__ = ["Caption", "Captioner", "CutlineError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Load the runtime only when a captioner is asked for."""
    if name not in {"Caption", "Captioner", "load"}:
        raise AttributeError(f"module 'cutline' has no attribute {name!r}")
    from cutline import captioner

    return getattr(captioner, name)
