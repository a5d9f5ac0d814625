"""Marks of recipe fields, said at the field: `Field(..., json_schema_extra=FREE)`.

A field without a mark is an argument that decides weights or their shapes.
"""

from typing import Any, Final

from pydantic import BaseModel

__all__ = ["FREE", "TRAINING", "free_fields", "training_fields"]

MARK = "cutline"
FREE: Final[dict[str, Any]] = {MARK: "free"}
"""An argument that changes no weight's shape or meaning: a second stage may have another."""
TRAINING: Final[dict[str, Any]] = {MARK: "training"}
"""Read by training only, and no argument of a constructor; free, too."""


def training_fields(config: type[BaseModel]) -> set[str]:
    """Return the names of fields that only training reads."""
    return _marked(config, TRAINING)


def free_fields(config: type[BaseModel]) -> set[str]:
    """Return the names of fields that may differ between a model and a training begun with it."""
    return _marked(config, FREE) | _marked(config, TRAINING)


def _marked(config: type[BaseModel], mark: dict[str, Any]) -> set[str]:
    fields = config.model_fields.items()
    extras = ((name, field.json_schema_extra) for name, field in fields)
    return {
        name for name, extra in extras if isinstance(extra, dict) and extra.get(MARK) == mark[MARK]
    }
