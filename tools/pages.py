"""Write what repeats the code: docs/commands.md, docs/recipes.md, parts of docs/captioners.md.

python tools/pages.py           writes them
python tools/pages.py --check   exits with 1 when they are not up to date (a test runs this)
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer
from captioner_parts import captioners
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from cutline.cli.app import app
from cutline.config import Recipe, recipe_folder

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTE = "<!-- written by tools/pages.py; do not edit -->"


def commands() -> str:
    """Return every command's help page."""
    lines = [NOTE, "", "# Commands", ""]
    lines += [
        "This page shows the help of every command, as `cutline COMMAND --help` prints it.",
        "",
        "Exit codes: 0 means that everything was done. 1 means that some inputs failed; each is "
        "named, and the others were processed. 2 means that nothing was done; a sentence says why.",
        "",
    ]
    for words in _verbs(typer.main.get_command(app), []):
        page = CliRunner().invoke(app, [*words, "--help"], terminal_width=88, prog_name="cutline")
        lines += [f"## cutline {' '.join(words)}", "", "```text", page.output.rstrip(), "```", ""]
    return "\n".join(lines)


def recipes() -> str:
    """Return every field of a recipe, and the shipped recipes."""
    lines = [NOTE, "", "# Recipes", ""]
    lines += [
        "A recipe is a YAML file that describes a training: the data, the encoder, the decoder, "
        "the training itself and the search. `cutline train RECIPE` runs it. Words of the form "
        "`key=value`, such as `training.epochs=3`, change it. An unknown key is an error, which "
        "says which key was probably meant. [Train](train.md) explains the fields in context.",
        "",
        "## Fields",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
        *_fields(Recipe, ""),
        "",
        "## Shipped recipes",
        "",
        "Each begins with a comment: what it trains, what it costs, how to run it, and its scores.",
        "",
    ]
    folder = recipe_folder()
    for path in sorted(folder.rglob("*.yaml")):
        name = path.relative_to(folder).with_suffix("")
        lines += [
            f"### {name}",
            "",
            "```yaml",
            path.read_text(encoding="utf-8").rstrip(),
            "```",
            "",
        ]
    return "\n".join(lines)


def _verbs(command: Any, words: list[str]) -> Iterator[list[str]]:
    for name, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from _verbs(child, [*words, name])
        else:
            yield [*words, name]


def _fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        options = [a for a in (field.annotation, *get_args(field.annotation)) if _is_model(a)]
        if name == "decoder":
            yield from _decoder_fields(options, f"{prefix}decoder.")
            continue
        if options and name != "trainable":
            if not field.is_required() and field.default is None:  # a section that is off
                yield _row(f"{prefix}{name}", field)
            yield from _fields(options[0], f"{prefix}{name}.")
            continue
        yield _row(f"{prefix}{name}", field)


def _decoder_fields(decoders: list[type[BaseModel]], prefix: str) -> Iterator[str]:
    """Write each field once, with the decoders that have it unless all do."""
    names = [str(decoder.model_fields["name"].default) for decoder in decoders]
    yield f"| `{prefix}name` | required | {', '.join(names)} |"
    owners: dict[str, list[str]] = {}
    for decoder, owner in zip(decoders, names, strict=True):
        for name, field in decoder.model_fields.items():
            if name != "name":
                owners.setdefault(_row(f"{prefix}{name}", field), []).append(owner)
    for row, having in owners.items():
        of = "" if len(having) == len(names) else f" ({', '.join(having)})"
        yield row.removesuffix(" |") + of + " |"


def _row(key: str, field: FieldInfo) -> str:
    default = (
        "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
    )
    return f"| `{key}` | {default} | {field.description or ''} |"


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def main() -> int:
    """Write or check the pages."""
    try:
        return _write()
    except FileNotFoundError as error:
        print(f"{error.filename} is missing; type `git checkout -- {error.filename}`")
        return 1


def _write() -> int:
    stale = []
    page = (DOCS / "captioners.md").read_text(encoding="utf-8")
    pages = {"commands.md": commands(), "recipes.md": recipes(), "captioners.md": captioners(page)}
    for name, text in pages.items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"not up to date: {', '.join(stale)}; run `python tools/pages.py`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
