"""Error messages about recipes: what was given, what is allowed, what to type next."""

import re
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from cutline.config.decoder import DecoderConfig
from cutline.config.recipe import Recipe
from cutline.config.renamed import new_field, new_value
from cutline.errors import did_you_mean, fault_reason

__all__ = ["decoder_fields_of", "explain_faults"]


def explain_faults(error: ValidationError, tree: Mapping[str, Any]) -> str:
    """Say one sentence about each key; of a key and one inside it, about the inner one."""
    sentences: dict[str, str] = {}
    for fault in error.errors():
        place = _place(fault["loc"])
        kind = str(fault["type"])
        if kind.startswith("union_tag"):
            place, kind = [*place, "name"], "missing" if "not_found" in kind else "literal_error"
        if kind == "value_error":  # a validator of ours, which speaks for itself
            sentence = f"{fault_reason(fault['msg'])}."
        else:
            sentence = _renamed(kind, place, fault) or _sentence(kind, place, fault, tree)
        sentences.setdefault(".".join(place), sentence)
    return " ".join(
        sentence
        for key, sentence in sentences.items()
        if not any(other.startswith(f"{key}.") for other in sentences)
    )


def _renamed(kind: str, place: list[str], fault: Mapping[str, Any]) -> str | None:
    """Say what an old name of a field or a value is called now."""
    key, value = ".".join(place), fault["input"]
    if kind == "extra_forbidden" and (new := new_field(key)):
        return f"'{key}' is called '{new}' now; type {new}={value}."
    if kind == "literal_error" and (new := new_value(key, value)):
        return f"'{key}' is {value!r}, which is called '{new}' now; type {key}={new}."
    return None


def _sentence(
    kind: str, place: list[str], fault: Mapping[str, Any], tree: Mapping[str, Any]
) -> str:
    key, facts = ".".join(place), fault.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _fields(Recipe, place[:-1], tree)
        return f"unknown key '{key}'; {did_you_mean(place[-1], allowed)}."
    if kind == "missing":
        return f"'{key}' is missing; add it, or type {_example(place, tree)}."
    value = fault["input"]["name"] if "tag" in facts else fault["input"]
    given = f"'{key}' is empty" if value is None else f"'{key}' is {value!r}"
    if kind == "literal_error":
        allowed = re.findall("'([^']+)'", facts.get("expected_tags") or facts["expected"])
        allowed += ["{last_stages: n}"] * (key == "encoder.trainable")
        return f"{given}; {did_you_mean(str(value), allowed)}."
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{given}, but it is a section; type {_example(place, tree)}."
    limits = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    for limit in limits.keys() & facts.keys():
        return f"{given}; give a number {limits[limit]} {facts[limit]}."
    wanted = [phrase for start, phrase in _WANTED.items() if kind.startswith(start)]
    return f"{given}; give {wanted[0]}." if wanted else f"{given}: {fault_reason(fault['msg'])}."


_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string_too_long": "a shorter one",
    "string": "text, in quotes if YAML takes it for something else",
}


def _example(place: list[str], tree: Mapping[str, Any]) -> str:
    """Give a word that sets the key at `place`, or the first field of the section there."""
    key = ".".join(place)
    if key == "encoder.options":
        return "encoder.options.NAME=VALUE"
    fields = ["name"] if key == "decoder" else _fields(Recipe, place, tree)
    return ".".join([key, *fields[:1]]) + "=VALUE"


def decoder_fields_of(name: object) -> list[str] | None:
    """Return the fields of a built-in decoder's recipe; None of a name that is not built in."""
    match = [m for m in _decoders() if name in get_args(m.model_fields["name"].annotation)]
    return list(match[0].model_fields) if match else None


def _decoders() -> tuple[type[BaseModel], ...]:
    return get_args(get_args(DecoderConfig)[0])


def _place(location: Sequence[int | str]) -> list[str]:
    """Leave out the branch of a union that Pydantic names in a place; people did not type it."""
    place = [str(part) for part in location]
    if place[0] == "decoder":
        return place[:1] + place[2:]
    if place[:2] == ["encoder", "trainable"]:
        return place[:2] + place[3:]
    return place


def _fields(model: type[BaseModel], place: list[str], tree: Mapping[str, Any]) -> list[str]:
    """Names allowed in the section at `place` of a recipe; none if it is not a section."""
    if not place:
        return list(model.model_fields)
    field = place[0]
    if place == ["decoder"]:
        return decoder_fields_of(tree["decoder"]["name"]) or []
    annotation = model.model_fields[field].annotation
    options = get_args(annotation) if _is_union(annotation) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return _fields(option, place[1:], tree)
    return []


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)
