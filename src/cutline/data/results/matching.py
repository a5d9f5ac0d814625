"""Matching of captions and references by image; what does not fit is named."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cutline.data.readers.files import counted, name_some
from cutline.data.results.names import Pairing, pair, rival
from cutline.data.results.records import Found, Record
from cutline.errors import DataError, UsageError, did_you_mean

__all__ = ["PROBLEMS", "Matched", "match"]

# What may be wrong between two files, and what `allow` does about it.
PROBLEMS = {
    "ambiguous": ("that cannot be told apart by {form}", "left out"),
    "duplicate": ("with more than one caption", "the first counts"),
    "extra": ("with a caption but no references", "left out"),
    "missing": ("with references but no caption", "left out"),
}


class Matched(NamedTuple):
    """Captions and references of the same images; `notes` says what had to be decided.

    Images go by the captions' names; `places` has each one's place in the file of references.
    """

    candidates: dict[str, str]
    references: dict[str, list[str]]
    notes: list[str]
    places: dict[str, int]

    def only(self, names: Mapping[str, int]) -> "Matched":
        """Keep the images at some places, under these names."""
        own = {place: name for name, place in self.places.items()}
        return Matched(
            {name: self.candidates[own[place]] for name, place in names.items()},
            {name: self.references[own[place]] for name, place in names.items()},
            self.notes,
            dict(names),
        )


def match(
    results: Found,
    references: Found,
    *,
    split: str | None = None,
    allow: Collection[str] = (),
) -> Matched:
    """Bring captions and references together, by the names that most captions have.

    Args:
        results: entries of one caption each.
        references: an entry an image.
        split: score this split of the references; by default those that the captions are of.
        allow: which of `PROBLEMS` to go on with: such images are left out, and of several
            captions of one image the first counts. Otherwise they are refused.

    Raises:
        DataError: for what is not allowed, with how many there are and some of their names.
    """
    captions, truths = results.records, references.records
    made = pair(captions, truths)
    if not made.asked:
        raise _strangers(results, references)
    notes = [*results.notes, *_said(made, truths)]
    found = _first_of_each(made)
    times = Counter(made.found)
    wanted, said = _of_split(truths, split, found.keys(), references.source)
    problems = {
        "ambiguous": _unclear(made),
        "duplicate": [name for place, name in found.items() if times[place] > 1],
        "extra": [
            made.names[at]
            for at, place in enumerate(made.found)
            if at not in made.unclear and (place is None or place not in wanted)
        ],
        "missing": [truths[place].name for place in wanted if place not in found],
    }
    notes += [*said, *_judged(problems, allow, made.form)]
    kept = {name: place for place, name in found.items() if place in wanted}
    first = {place: one for one, place in reversed(list(zip(captions, made.found, strict=True)))}
    return Matched(
        {name: first[place].texts[0] for name, place in kept.items()},
        {name: list(truths[place].texts) for name, place in kept.items()},
        notes,
        kept,
    )


def _first_of_each(made: Pairing) -> dict[int, str]:
    """Return the name of each image with a caption, by its place in the references."""
    found: dict[int, str] = {}
    for name, place in zip(made.names, made.found, strict=True):
        if place is not None:
            found.setdefault(place, name)
    return found


def _said(made: Pairing, truths: Sequence[Record]) -> Iterator[str]:
    """Say by which names images are matched, where there was a choice."""
    if made.form != "as written" or len({kind for truth in truths for kind in truth.names}) > 1:
        form = "" if made.form == "as written" else f", by {made.form}"
        yield f"Images are matched by {made.kind}{form}."
    other = rival(made, truths)
    if other is not None:
        yield f"By {other} all captions would match too, but other images; check which is meant."


def _unclear(made: Pairing) -> list[str]:
    return [f"{made.names[at]} ({' or '.join(all_[:3])})" for at, all_ in made.unclear.items()]


def _judged(
    problems: Mapping[str, Sequence[str]], allow: Collection[str], form: str
) -> Iterator[str]:
    """Say what is wrong, or refuse it."""
    for problem, images in problems.items():
        if images:
            what, then = PROBLEMS[problem]
            named = name_some(list(dict.fromkeys(images)))
            count = len(set(images))
            said = f"{counted(count, 'image')} {what.format(form=form)}: {named}"
            if problem not in allow:
                raise DataError(f"{said}. Mend the file, or add --allow {problem} ({then}).")
            yield f"{said} ({then})."


def _of_split(
    truths: Sequence[Record], split: str | None, found: Collection[int], source: Path
) -> tuple[dict[int, Record], list[str]]:
    """Keep the images of one split, or of those splits that candidates are of."""
    splits = {truth.split for truth in truths if truth.split is not None}
    if split is not None and split not in splits:
        hint = did_you_mean(split, splits) if splits else "it says nothing of splits"
        raise UsageError(f"{source} has no split '{split}'; {hint}.")
    wanted = {truths[place].split for place in found} if split is None else {split}
    kept = {place: truth for place, truth in enumerate(truths) if truth.split in wanted}
    if not splits - wanted:
        return kept, []
    names = " and ".join(sorted(filter(None, wanted)))
    return kept, [f"Scored on split {names}."]


def _strangers(results: Found, references: Found) -> DataError:
    names = list(dict.fromkeys(one.name for one in results.records))
    return DataError(
        f"Not one of the {counted(len(names), 'image')} with a caption is in "
        f"{references.source}: the captions are of {name_some(names, 3)}; that "
        f"file has {name_some([one.name for one in references.records], 3)}."
    )
