"""Old names of recipe fields and values: refused with the new one, translated in saved files.

To rename a field or a value, change it where it is declared and add a line here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cutline.config.outside import is_outside

__all__ = ["new_field", "new_value", "translate"]

FIELDS = {
    "encoder.from_epoch": "encoder.unfreeze_epoch",
    "training.average": "training.ema_decay",
}
VALUES = {
    "encoder.batch_norm": {"kept": "frozen"},
    "decoder.credit": {"future": "reward_to_go"},
    "decoder.baseline": {"others": "leave_one_out"},
    "training.self_critical.baseline": {"others": "leave_one_out"},
}


def new_field(key: str) -> str | None:
    """Return what the field `key` (`section.field`) is called now, or None: it was not renamed."""
    return FIELDS.get(key)


def new_value(key: str, value: object) -> str | None:
    """Return what a value of the field `key` is called now, or None: it was not renamed."""
    return VALUES.get(key, {}).get(value) if isinstance(value, str) else None


def translate(tree: dict[str, Any]) -> None:
    """Put new names in the place of old ones in a saved recipe or model configuration."""
    for old, new in FIELDS.items():
        for section, field in _fields(tree, old):
            section.setdefault(new.rpartition(".")[2], section.pop(field))
    for key in VALUES:
        for section, field in _fields(tree, key):
            section[field] = new_value(key, section[field]) or section[field]


def _fields(tree: Mapping[str, Any], key: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the section that holds the field `key`, and the field's name, if both are there."""
    *sections, field = key.split(".")
    place: Any = tree
    for name in sections:
        place = place.get(name) if isinstance(place, dict) else None
    if isinstance(place, dict) and field in place:
        if sections == ["decoder"] and is_outside(place.get("name")):
            return  # its fields are its own
        yield place, field
