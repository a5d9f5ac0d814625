"""The fields of a decoder from outside the package, which only its own code can check.

`decoder.name` is `package.module:Class`, or a name that an installed package gives in the entry
point group `cutline.decoders`. Nothing is imported here: what a model folder names is not run.
"""

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from cutline.config.base import Config

__all__ = ["GROUP", "OutsideDecoderConfig", "is_outside", "validated"]

GROUP = "cutline.decoders"
NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
LARGEST_HEAD = 16_384
Value = int | float | str | bool | None


class OutsideDecoderConfig(Config):
    """A decoder from outside the package; its own fields stand beside these, numbers and texts."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Value]

    name: str = Field(max_length=500)
    head: int | None = Field(None, gt=0, le=LARGEST_HEAD)

    @property
    def own(self) -> dict[str, Any]:
        """The decoder's own fields."""
        return dict(self.__pydantic_extra__)


def is_outside(name: object) -> bool:
    """Say whether a name is that of a class, or of an entry point."""
    if not isinstance(name, str):
        return False
    return bool(NAME.fullmatch(name)) or name in entry_points(group=GROUP).names


def validated(value: Any, built_in: Callable[[Any], Any]) -> Any:
    """Validate the fields of a decoder, from outside or built in."""
    if isinstance(value, OutsideDecoderConfig):
        return value
    name = value.get("name") if isinstance(value, dict) else None
    if not (isinstance(name, str) and (":" in name or name.isidentifier())):
        return built_in(value)
    try:
        return built_in(value)
    except ValidationError as error:
        unknown = any(fault["type"].startswith("union_tag") for fault in error.errors())
        if not (unknown and is_outside(name)):
            raise
    try:
        return OutsideDecoderConfig.model_validate(value)
    except ValidationError as error:
        fault = error.errors()[0]
        field = fault["loc"][0]
        allowed = {
            "head": f"give a whole number from 1 to {LARGEST_HEAD:,}, or leave it out",
            "name": "give package.module:Class, of at most 500 letters",
        }.get(str(field), "a decoder from outside the package has numbers, texts, true and false")
        raise ValueError(f"decoder.{field} is {fault['input']!r}; {allowed}") from None
