"""Captioned pictures of a run: a file for a single picture, a folder for several."""

import os
from pathlib import Path

from cutline.errors import CutlineError, UsageError
from cutline.files import check_place, inode, printable
from cutline.results import Row

__all__ = ["Drawn", "check_outside"]


class Drawn:
    """Captioned pictures, their files decided before work begins.

    In a folder each has the name of its picture, and its place below the folder that all pictures
    of the run have in common. JPEG and PNG stay what they are; any other becomes a PNG.

    Args:
        target: a file that ends in .png, .jpg or .jpeg, or a folder; None draws nothing.
        images: the pictures of the run.
        inputs: files that are never written to; the pictures are not, in any case.
        keep: whether captioned pictures that are there count as done.
        overwrite: whether they are replaced.
        font: a font file, or None.
        strict: whether pictures that lack their end are refused.

    Raises:
        UsageError: a file is there, and neither `keep` nor `overwrite`; or it is read here; or
            nothing can be written there; or several pictures would go to one file.
    """

    def __init__(
        self,
        target: Path | None,
        images: list[Path],
        inputs: list[Path],
        *,
        keep: bool,
        overwrite: bool,
        font: Path | None = None,
        strict: bool = False,
    ) -> None:
        self._overwrite = overwrite
        self._font = font
        self._strict = strict
        self._files = {} if target is None else _files(target, images)
        self._done: set[Path] = set()
        if target is None:
            return
        from cutline.explain.fonts import font_for

        font_for("", 24, font)
        read = {found for path in (*images, *inputs) if (found := inode(path)) is not None}
        for image, file in self._files.items():
            self._check(image, file, read, keep=keep)

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [*self._files.values()]

    def left(self, image: Path) -> bool:
        """Say whether a picture is still to be drawn."""
        return image in self._files and image not in self._done

    def write(self, row: Row) -> str | None:
        """Draw one picture's caption; return a sentence where it cannot be."""
        if not self.left(row.image):
            return None
        from cutline.explain import caption_figure, save_figure
        from cutline.images import read_image

        try:
            picture = read_image(row.image, strict=self._strict)
            figure = caption_figure(picture, row.caption.hedged, font=self._font)
            save_figure(figure, self._files[row.image], overwrite=self._overwrite)
        except CutlineError as error:
            return str(error)
        return None

    def _check(self, image: Path, file: Path, read: set[tuple[int, int]], *, keep: bool) -> None:
        check_place(file)
        there = inode(file)
        if there in read:
            raise UsageError(
                f"{printable(file)} is read here and not overwritten; give --figure another place."
            )
        if there is None:
            return
        if keep:
            self._done.add(image)
        elif not self._overwrite:
            raise UsageError(
                f"{printable(file)} exists and is not overwritten; give --figure another place, or "
                "--force."
            )


def check_outside(target: Path, images: list[str], exclude: list[str]) -> None:
    """Refuse a place within a folder that is captioned: the next run would caption the figures.

    Raises:
        UsageError: it is in such a folder, and its name is not among those that are excluded.
    """
    if target.name in exclude:
        return
    for folder in (Path(given) for given in images if os.path.isdir(given)):  # noqa: PTH112
        if target.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                f"{printable(target)} lies in {printable(folder)}, whose pictures are captioned; "
                f"give --figure a place outside, or add --exclude {printable(target.name)}."
            )


def _files(target: Path, images: list[Path]) -> dict[Path, Path]:
    """Return where the captioned picture of each picture goes."""
    from cutline.explain import FIGURE_SUFFIXES

    suffix = target.suffix.lower()
    if suffix in FIGURE_SUFFIXES and not target.is_dir():
        if len(images) > 1:
            raise UsageError(
                f"--figure {printable(target)} is one file, and there are {len(images):,} "
                "pictures; give a folder."
            )
        return dict.fromkeys(images, target)
    if suffix and len(images) == 1 and not target.is_dir():
        raise UsageError(
            f"--figure {printable(target)} ends in {printable(suffix)}; a captioned picture ends "
            f"in {', '.join(FIGURE_SUFFIXES)}, and a folder has no suffix."
        )
    whole = {image: Path(os.path.abspath(image)) for image in images}  # noqa: PTH100 - links stay
    common = os.path.commonpath([path.parent for path in whole.values()]) if images else ""
    files = {}
    for image, path in whole.items():
        below = target / path.relative_to(common)
        known = below.suffix.lower() in FIGURE_SUFFIXES
        files[image] = below if known else below.with_name(f"{below.name}.png")
    return files
