"""Outputs of a run: a file or standard output, sidecars, and the list of held-back captions."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from cutline.cli.console import say
from cutline.cli.drawn import Drawn
from cutline.cli.printed import Printed, printed
from cutline.cli.tally import Tally
from cutline.errors import UsageError
from cutline.files import check_not_read, printable
from cutline.results import (
    FORMATS,
    Existing,
    FailureList,
    Framed,
    ResultsFile,
    Row,
    Sidecars,
    cleared_drafts,
)

__all__ = ["FAILED", "HELD", "Outputs", "Wishes", "opened"]

FAILED, HELD = "failed.jsonl", "held-back.jsonl"


class Wishes(NamedTuple):
    """Output options as they were given.

    Attributes:
        out: a results file, or None for standard output.
        form: its format.
        kinds: of sidecars.
        existing: what becomes of sidecars that are there.
        resume: whether what was written before counts as done.
        force: whether a results file that is there is replaced.
        prefix: text before each caption.
        suffix: text after it.
        at_least: the confidence below which a caption is held back.
        place: the folder of the lists of what failed and what is held back; None for no lists.
        figure: a file or folder of captioned pictures; None for none.
        font: the font file of their captions; None for one of this machine.
        strict: whether pictures that lack their end are not drawn.
    """

    out: Path | None
    form: str
    kinds: list[str]
    existing: Existing
    resume: bool
    force: bool
    prefix: str
    suffix: str
    at_least: float
    place: Path | None = None
    figure: Path | None = None
    font: Path | None = None
    strict: bool = False

    @property
    def writes(self) -> bool:
        """Return whether there is anything that a later run can go on with."""
        return bool(self.out or self.kinds or self.figure)


class Outputs:
    """Writes each caption wherever it belongs."""

    def __init__(
        self,
        wishes: Wishes,
        output: Printed | ResultsFile,
        beside: Sidecars,
        drawn: Drawn,
        held: ResultsFile | None,
    ) -> None:
        self.beside = beside
        self._drawn = drawn
        self._wishes = wishes
        self._output = output
        self._held = held

    def plan(self, images: list[Path], tally: Tally, *, more: bool = True) -> list[Path]:
        """Return the pictures that are still to be captioned, and tell what cannot be written.

        `more`: they were not known when this was opened.
        """
        if more:
            self.beside.add(images)
        if self.beside.renamed:
            say(
                "Sidecars with the whole name of their picture, because the short one is not free: "
                f"{len(self.beside.renamed):,}, such as {self.beside.renamed[0]}."
            )
            self.beside.renamed.clear()
        todo = [image for image in images if not self.done(image)]
        tally.before += len(images) - len(todo)
        for image, sentences in self.beside.faults.items():
            for sentence in sentences:
                tally.fail(sentence, image)
            tally.before -= not self.beside.left(image) and self.done(image)
        self.beside.faults.clear()
        return todo

    def done(self, image: Path) -> bool:
        """Say whether nothing is left to do for a picture, or nothing can be done."""
        if self._held is not None and self._held.has(image):
            return True
        if self.beside.left(image) or self._drawn.left(image):
            return False
        elsewhere = self._wishes.kinds or self._wishes.figure
        return bool(elsewhere and not self._wishes.out) or self._output.has(image)

    def write(self, row: Row, tally: Tally) -> list[str]:
        """Write one picture's caption, or hold it back; return what could not be written."""
        if row.caption.confidence < self._wishes.at_least:
            self._hold(row)
            tally.hold(row.image)
            return []
        if self._wishes.prefix or self._wishes.suffix:
            framed = Framed(row.caption, self._wishes.prefix, self._wishes.suffix)
            row = row._replace(caption=framed)
        if not self._output.has(row.image):
            self._output.write(row)
        tally.add(row.image, unsure=bool(row.caption.unsure))
        faults = self.beside.write(row)
        if fault := self._drawn.write(row):
            faults.append(fault)
        for sentence in faults:
            tally.fail(sentence, row.image)
        return faults

    def _hold(self, row: Row) -> None:
        if self._held is not None:
            self._held.write(row)
        else:
            say(f"{row.image}: held back at {row.caption.confidence:.2f}: {row.caption.hedged}")


@contextmanager
def opened(
    wishes: Wishes, images: list[Path], inputs: list[Path], *, tally: Tally, single: bool
) -> Iterator[Outputs]:
    """Open what captions are written to; `inputs` are read besides the pictures.

    Raises:
        UsageError: something may not be written.
        DataError: a results file cannot be gone on with.
    """
    lists = [] if wishes.place is None else [wishes.place / FAILED, wishes.place / HELD]
    _check(wishes.out, lists, [*images, *inputs])
    drawn = Drawn(
        wishes.figure,
        images,
        [*inputs, *([wishes.font] if wishes.font else [])],
        keep=wishes.resume or wishes.existing is Existing.SKIP,
        overwrite=wishes.force,
        font=wishes.font,
        strict=wishes.strict,
    )
    with ExitStack() as stack:
        ours = [path for path in (wishes.out, *lists) if path is not None]
        if wishes.writes:
            stack.enter_context(cleared_drafts([*ours, *images, *drawn.paths]))
        output = stack.enter_context(_output(wishes, images, single=single))
        held = None
        if lists and wishes.at_least > 0:
            held = stack.enter_context(_held(wishes, lists[1], images))
        beside = Sidecars(
            wishes.kinds,
            images,
            [*inputs, *ours],
            resume=wishes.resume,
            existing=wishes.existing,
        )
        for note in output.notes:
            say(note)
        if lists:
            tally.listed = FailureList(lists[0], images)
        yield Outputs(wishes, output, beside, drawn, held)


def _check(out: Path | None, lists: list[Path], inputs: list[Path]) -> None:
    for path in (out, *lists):
        check_not_read(path, inputs)
    if out in lists:
        raise UsageError(
            f"{printable(out or '')} is where failures and what is held back are listed; give "
            "another name."
        )


@contextmanager
def _output(wishes: Wishes, images: list[Path], *, single: bool) -> Iterator[Printed | ResultsFile]:
    form = FORMATS[wishes.form]()
    if wishes.out is None:
        with printed(form, images, single=single) as shown:
            yield shown
        return
    with ResultsFile.open(
        wishes.out, form, images, resume=wishes.resume, force=wishes.force
    ) as file:
        yield file


@contextmanager
def _held(wishes: Wishes, path: Path, images: list[Path]) -> Iterator[ResultsFile]:
    """Open the list of what is held back, and go on with it where the run goes on."""
    goes_on = wishes.resume or wishes.existing in (Existing.SKIP, Existing.APPEND)
    force = wishes.force or wishes.existing is Existing.OVERWRITE
    form = FORMATS["jsonl"]()
    with ResultsFile.open(path, form, images, resume=goes_on, force=force) as file:
        yield file
