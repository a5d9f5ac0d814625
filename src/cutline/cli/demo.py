"""`cutline demo`."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cutline.cli.console import bar, say, table
from cutline.files import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cutline.data.examples import Example
    from cutline.evaluation import Evaluation

__all__ = ["demo"]

SHOWN = 24  # captioned scenes in the report


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes to the recipe scenes/soft."),
    ] = None,
) -> None:
    """Train a captioner on the built-in scenes, score it, and show where it looks.

    Needs no download and about five minutes on two cores. Writes OUT/model, OUT/scores.json and
    OUT/report.html. An OUT of an earlier demo is moved aside, never overwritten.
    """
    from cutline.config import find_recipe, read_recipe

    recipe = read_recipe(find_recipe("scenes/soft"), changes or ())
    started = time.perf_counter()
    from cutline.data.readers import open_dataset
    from cutline.evaluation import evaluate
    from cutline.training import train

    _move_aside(out)
    say("Training Show, Attend and Tell on drawn scenes ...")
    result = train(recipe, out, say=say)
    result.folder.rename(out / "model")
    say("Captioning scenes it never saw ...")
    examples = open_dataset("scenes", **recipe.data.scenes.model_dump()).split("test")
    with bar("captions", len(examples)) as progress:
        found = evaluate(result.captioner, examples, split="test", progress=progress)
    scores = {
        "truth": found.corpus["truth"],
        "pointing": found.corpus.get("pointing"),
        "pointing_chance": found.corpus.get("pointing (chance)"),
        "cider": found.corpus["CIDEr"],
        "bleu4": found.corpus["BLEU-4"],
        "images": len(found.captions),
        "signature": found.scores.signature,
        "minutes": round((time.perf_counter() - started) / 60, 2),
    }
    write_text(out / "scores.json", json.dumps(scores, indent=2) + "\n", overwrite=False)
    _report(out / "report.html", examples[:SHOWN], found)
    rows = [[name, f"{value:.3f}"] for name, value in found.corpus.items()]
    table(f"{len(found.captions)} scenes never seen in training", ["", "score"], rows)
    say(f"Done in {scores['minutes']} minutes. Look at {out / 'report.html'}.")
    say(f"Next: cutline caption PICTURE --model {out / 'model'}")


def _move_aside(out: Path) -> None:
    """Keep what an earlier demo made under another name."""
    if not out.exists():
        return
    number = 1
    while (aside := out.with_name(f"{out.name}-{number}")).exists():
        number += 1
    out.rename(aside)
    say(f"{out} of an earlier demo is now {aside}.")


def _report(path: Path, examples: "Sequence[Example]", found: "Evaluation") -> None:
    from cutline.explain import ReportEntry, write_report

    entries = []
    for example in examples:
        true = found.scenes is not None and found.scenes.true[example.image_id]
        entries.append(
            ReportEntry(
                image=example.picture.open(),
                caption=found.captions[example.image_id],
                references=example.captions,
                badge="true" if true else "not true",
                good=true,
            )
        )
    labels = {
        "truth": "captions of which every fact holds",
        "pointing": "object words that look at the object",
        "pointing (chance)": "the same, looking anywhere",
    }
    names = [*labels, *(name for name in found.corpus if name not in labels)]
    summary = {labels.get(n, n): f"{found.corpus[n]:.3f}" for n in names if n in found.corpus}
    write_report(entries, path, title="Cutline demo: scenes it never saw", summary=summary)
