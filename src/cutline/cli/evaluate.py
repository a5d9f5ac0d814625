"""`cutline evaluate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cutline.cli.console import bar, complain, say, table, tell
from cutline.cli.figures import EVERY_METRIC, faithfulness_rows, metric_names, score_rows
from cutline.cli.lists import Precision, model_of_run
from cutline.errors import UsageError
from cutline.files import check_free, check_not_read, printable, write_text

if TYPE_CHECKING:
    from cutline.data.examples import Dataset

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a model, or of a run: its best.")],
    data: Annotated[str, typer.Option(help="A data set, see `cutline data check`; or `scenes`.")],
    split: Annotated[
        str | None,
        typer.Option(help="train, val or test. Default: test, or else val, where there is one."),
    ] = None,
    beam: Annotated[
        int | None, typer.Option(min=1, help="Beam width; 1 is greedy. Default: the model's own.")
    ] = None,
    length_penalty: Annotated[
        float | None,
        typer.Option(
            min=0, help="0 ranks by log-probability; larger values favour longer captions."
        ),
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Metrics to compute, separated by commas.")
    ] = EVERY_METRIC,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for 95% intervals, such as 1000.")
    ] = 0,
    images: Annotated[int | None, typer.Option(min=1, help="Use only the first N images.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures and captions to this file.")
    ] = None,
    faithfulness: Annotated[
        bool,
        typer.Option(
            "--faithfulness",
            help="Measure deletion and insertion curves of attention too; a second an image.",
        ),
    ] = False,
    figures: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Draw the first N pictures with their generated and true captions."
        ),
    ] = None,
    figures_to: Annotated[
        Path | None,
        typer.Option(
            help="A .png or .jpg sheet, or a folder for a file each; default: MODEL-SPLIT.png here."
        ),
    ] = None,
    font: Annotated[
        Path | None, typer.Option(help="Font file of --figures; default: one of this machine.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the --json file and the figures.")
    ] = False,
    precision: Annotated[
        Precision, typer.Option(help="Arithmetic of the decoder; int8 is faster and less exact.")
    ] = Precision.FLOAT32,
) -> None:
    """Caption a data set and score the captions against its own.

    Exit code 1 when some pictures could not be read (each is named, the rest is scored).
    """
    check_free(json_file, overwrite=force)
    model = model_of_run(model)
    check_not_read(json_file, [model, data])
    _check_figure_options(figures, figures_to, font)
    from cutline.captioner import load
    from cutline.data.readers import open_dataset
    from cutline.evaluation import check_figures, measure_faithfulness, write_figures
    from cutline.evaluation import evaluate as run

    captioner = load(model, precision=precision.value)
    dataset = open_dataset(data)
    say(dataset.describe())
    split = split or _held_out(dataset)
    examples = dataset.split(split)[:images]
    target = figures_to or Path(f"{captioner.name}-{split}.png")
    if figures is not None:
        check_not_read(target, [model, data])
        check_figures(target, examples, figures, font=font, overwrite=force)
    search = captioner.search(beam=beam, length_penalty=length_penalty)
    with bar(f"captions of {split}", len(examples)) as progress:
        result = run(
            captioner,
            examples,
            split=split,
            search=search,
            metrics=metric_names(metrics),
            bootstrap=bootstrap,
            progress=progress,
        )
    rows = score_rows(result.corpus, result.scores.intervals)
    table(f"{model} on {data} ({split}, {len(result.captions):,} images)", rows[0], rows[1:])
    tell(result.scores.signature)
    for metric, reason in result.scores.skipped.items():
        say(f"{metric} was not computed: {reason}")
    curves = None
    if faithfulness:
        captioned = (
            (captioner.square(e.picture.open()), result.captions[e.image_id])
            for e in examples
            if e.image_id in result.captions
        )
        with bar("deletion and insertion", len(result.captions)) as progress:
            curves = measure_faithfulness(captioner, captioned, progress=progress)
        rows = faithfulness_rows(curves)
        title = (
            f"probability of {curves.words:,} content words as regions are painted over or shown"
        )
        table(f"{title} (mean largest attention weight {curves.peak:.3f})", rows[0], rows[1:])
    if json_file:
        found = result.to_dict() | ({"faithfulness": curves.to_dict()} if curves else {})
        text = json.dumps(found, indent=1, ensure_ascii=False)
        write_text(json_file, text + "\n", overwrite=force)
    if figures is not None:
        drawn = write_figures(result, examples, target, figures, font=font, overwrite=force)
        say(f"Drawn: {drawn:,} pictures in {printable(target)}.")
    for reason in result.failed.values():
        complain(reason)
    if result.failed:
        raise typer.Exit(1)


def _check_figure_options(count: int | None, given: Path | None, font: Path | None) -> None:
    if count is None:
        for name, value in {"--figures-to": given, "--font": font}.items():
            if value is not None:
                raise UsageError(f"{name} is about --figures; add --figures 10, or leave it out.")
    elif count < 1:
        raise UsageError(f"--figures {count} draws nothing; give 1 or more, or leave it out.")


def _held_out(dataset: "Dataset") -> str:
    """Choose test, or val where there is no test, and say so; else ask for a split by `test`."""
    splits = {example.split for example in dataset.examples}
    if "test" in splits or "val" not in splits:
        return "test"
    say("there is no test split: this is val, on which models are chosen")
    return "val"
