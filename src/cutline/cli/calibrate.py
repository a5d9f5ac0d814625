"""`cutline calibrate`."""

from pathlib import Path
from typing import Annotated

import typer

from cutline.cli.console import bar, complain, say
from cutline.cli.lists import Storage
from cutline.folders import check_free_folder

__all__ = ["calibrate"]


def calibrate(
    model: Annotated[Path, typer.Argument(help="Folder of a model.")],
    out: Annotated[Path, typer.Argument(help="Folder to write the calibrated model to.")],
    data: Annotated[str, typer.Option(help="The data set it was trained on.")],
    storage: Annotated[
        Storage,
        typer.Option(help="Of the stored weights; float16 takes half the space, int8 a quarter."),
    ] = Storage.FLOAT32,
    size: Annotated[
        int | None,
        typer.Option(min=16, help="Side of the encoder's input in pixels. Default: as trained."),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Encode the mirror image of each picture, too.")
    ] = False,
) -> None:
    """Teach a trained model how sure to be, and write it to a new folder.

    `confidence` becomes the probability that a caption is right, learned from the validation
    split; `unsure` is said of pictures that are unlike the photographs of the training split.

    A model may caption better when it looks at larger pictures than in training, or at mirror
    images, too; both cost time. Try `--size 256` or `--mirror` of one trained at 224.
    """
    check_free_folder(out)
    from cutline.data.readers import open_dataset
    from cutline.evaluation import calibrate as run
    from cutline.models import find_model
    from cutline.network import Model

    trained = Model.read(find_model(model))
    if size or mirror:
        trained = trained.looking(size=size, mirror=mirror or None)
    trained.stored_as(storage.value)
    dataset = open_dataset(data)
    say(dataset.describe())
    train, val = dataset.split("train"), dataset.split("val")
    with bar("pictures", len(train) + 2 * len(val)) as progress:
        found = run(trained.captioner(), train, val, progress=progress)
    for reason in found.failed:
        complain(f"left out: {reason}")
    trained.calibrated(found.sureness, found.scores).save(out)
    learned = found.sureness.config
    megabytes = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    say(f"Right: {learned.right}. Of {learned.images:,} captions {learned.share_right:.0%} are.")
    say(f"Expected calibration error, on images not learned from: {learned.calibration_error:.3f}.")
    say(f"{out}: {megabytes:.1f} MB. Next: cutline caption photo.jpg --model {out}")
