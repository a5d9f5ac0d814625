"""Reading recipes: a YAML file and `key=value` words become a `Recipe`."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cutline.config.faults import decoder_fields_of, explain_faults
from cutline.config.recipe import Recipe, SearchConfig
from cutline.config.renamed import translate
from cutline.errors import UsageError, did_you_mean

__all__ = ["change_search", "find_recipe", "read_recipe", "recipe_folder"]

NAME = "decoder.name"


def recipe_folder() -> Path:
    """Return the folder of the shipped recipes: in the package, or in the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parents[1] / "recipes"


def find_recipe(name: str) -> Path:
    """Find a recipe by path, or by its name among the shipped ones (`scenes/soft`)."""
    shipped = recipe_folder()
    bare = name.removeprefix("recipes/").removesuffix(".yaml")
    for path in (Path(name), shipped / f"{bare}.yaml"):
        if path.is_file():
            return path
    names = [str(p.relative_to(shipped).with_suffix("")) for p in shipped.rglob("*.yaml")]
    hint = did_you_mean(bare, names).partition("Allowed")[0]
    raise UsageError(
        f"There is no recipe {name}; {hint}`cutline recipes` lists those there are; a path of a "
        "YAML file will do too."
    )


def read_recipe(
    path: Path | str,
    overrides: Iterable[str] = (),
    *,
    saved: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Recipe:
    """Read a recipe and change it by `key=value` words such as `training.epochs=3`.

    A word that changes `decoder.name` also drops those fields of the file's decoder that the new
    one lacks; `say` is told which.

    A relative `data.path` or `encoder.weights` is relative to the working directory. A recipe that
    a run has `saved` may have the names of older versions (`cutline.config.renamed`).

    Raises:
        UsageError: the file cannot be read, or a field is wrong; the message names the key.
    """
    source = Path(path)
    try:
        tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The recipe {source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The recipe {source} is not UTF-8 text; save it as such.") from None
    except yaml.YAMLError as error:
        raise UsageError(f"The recipe {source} is not valid YAML: {_where(error)}.") from None
    if not isinstance(tree, dict):
        raise UsageError(
            f"The recipe {source} has no keys; a recipe has {', '.join(Recipe.model_fields)}."
        )
    if saved:
        translate(tree)
    overrides = list(overrides)
    _drop_foreign(tree, overrides, say)
    for override in overrides:
        _apply(tree, override)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise UsageError(f"{source}: {explain_faults(error, tree)}") from None


def change_search(search: SearchConfig, changes: Mapping[str, Any]) -> SearchConfig:
    """Return `search` with some fields changed; a wrong one is a `UsageError`."""
    for key in changes:
        if key not in SearchConfig.model_fields:
            raise UsageError(
                f"A search has no '{key}'; {did_you_mean(key, SearchConfig.model_fields)}."
            )
    try:
        return SearchConfig.model_validate({**search.model_dump(), **changes})
    except ValidationError as error:
        raise UsageError(f"search: {explain_faults(error, {})}") from None


def _drop_foreign(
    tree: Mapping[str, Any], overrides: Iterable[str], say: Callable[[str], None]
) -> None:
    """Drop the fields of the file's decoder that the one named in a word does not have."""
    section = tree.get("decoder")
    names = [value for key, _, value in (o.partition("=") for o in overrides) if key == NAME]
    fields = decoder_fields_of(names[-1]) if names else None
    if fields is None or not isinstance(section, dict) or section.get("name") == names[-1]:
        return
    foreign = sorted(set(section) - set(fields))
    for field in foreign:
        del section[field]
    if foreign:
        say(f"{NAME}={names[-1]}: left out of the recipe, as it has no {', '.join(foreign)}")


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(
            f"'{override}' does not change a recipe; write key=value, such as training.epochs=3."
        )
    *folders, last = key.split(".")
    for folder in folders:
        branch = tree.get(folder)
        if not isinstance(branch, dict):
            branch = tree[folder] = {}
        tree = branch
    try:
        tree[last] = _number(yaml.safe_load(text)) if text else None
    except yaml.YAMLError:
        tree[last] = text


def _number(value: Any) -> Any:
    """YAML 1.1 reads `1e-3` as text; a person means the number."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", value):
        return float(value)
    return value


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
