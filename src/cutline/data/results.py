"""Anybody's captions and references, as files: read, and matched by image id.

Captions: COCO's results (`[{"image_id": 1, "caption": "..."}]`), what `cutline caption` and
`cutline evaluate --json` write, or an object of texts by image id. References: COCO's annotations,
Karpathy's JSON, an object of lists of texts by image id, or any data set that Cutline reads.
Every text is taken as it stands.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cutline.data.readers.files import counted, name_some, read_text
from cutline.errors import DataError, UsageError, did_you_mean

__all__ = [
    "PROBLEMS",
    "Matched",
    "ReferenceFile",
    "Truths",
    "match",
    "read_references",
    "read_results",
]

Result = tuple[str, str]

# Under which names an image may be known in Karpathy's JSON; the first is preferred.
KARPATHY_IDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cocoid": lambda image: image.get("cocoid"),
    "filename": lambda image: image.get("filename"),
    "filename without its ending": lambda image: Path(image.get("filename", "")).stem or None,
    "imgid": lambda image: image.get("imgid"),
}

# What may be wrong between two files, and what `allow` does about it.
PROBLEMS = {
    "duplicate": ("with more than one caption", "the first counts"),
    "extra": ("with a caption but no references", "left out"),
    "missing": ("with references but no caption", "left out"),
}


class Truths(NamedTuple):
    """One image's references, and its split where the file says so."""

    texts: list[str]
    split: str | None = None


class ReferenceFile(NamedTuple):
    """References by image id, once for each way in which the file names its images."""

    source: Path
    by_id: dict[str, dict[str, Truths]]


class Matched(NamedTuple):
    """Captions and references of the same images; `notes` says what had to be decided."""

    candidates: dict[str, str]
    references: dict[str, list[str]]
    notes: list[str]

    def only(self, images: Collection[str]) -> "Matched":
        """Keep some images, in the order they have."""
        kept = {image: text for image, text in self.candidates.items() if image in images}
        return Matched(kept, {image: self.references[image] for image in kept}, self.notes)


def read_results(path: Path) -> list[Result]:
    """Read image ids and captions, in the file's order, duplicates included."""
    if path.suffix.lower() == ".jsonl":
        lines = read_text(path).split("\n")
        found: Any = [
            _loads(line, f"line {n} of {path}") for n, line in enumerate(lines, 1) if line.strip()
        ]
    else:
        found = _load(path)
    if isinstance(found, dict):
        found = found.get("per_image", found)
    if isinstance(found, dict):
        return [
            (image, _text(value.get("caption") if isinstance(value, dict) else value, path, image))
            for image, value in found.items()
        ]
    return list(_entries(found, path))


def read_references(path: Path) -> ReferenceFile:
    """Read references, of all splits where there are several."""
    if path.suffix.lower() == ".json" and path.is_file():
        found = _load(path)
        if isinstance(found, dict) and "annotations" in found:
            grouped: dict[str, Truths] = {}
            for image, text in _entries(found["annotations"], path):
                grouped.setdefault(image, Truths([])).texts.append(text)
            return ReferenceFile(path, {"image_id": grouped})
        if isinstance(found, dict) and isinstance(found.get("images"), list):
            return ReferenceFile(path, _karpathy(found["images"], path))
        if isinstance(found, dict) and all(isinstance(texts, list) for texts in found.values()):
            truths = {i: Truths([_text(t, path, i) for t in texts]) for i, texts in found.items()}
            return ReferenceFile(path, {"image id": truths})
    from cutline.data.readers import open_dataset

    examples = open_dataset(path).examples
    return ReferenceFile(
        path, {"image id": {e.image_id: Truths(list(e.captions), e.split) for e in examples}}
    )


def match(
    results: Sequence[Result],
    references: ReferenceFile,
    *,
    split: str | None = None,
    allow: Collection[str] = (),
) -> Matched:
    """Bring captions and references together, by the kind of image id that most captions have.

    Args:
        results: image ids and captions.
        references: of the same images.
        split: score this split of the references; by default those that the captions are of.
        allow: which of `PROBLEMS` to go on with: such images are left out, and of several
            captions of one image the first counts. Otherwise they are refused.

    Raises:
        DataError: for what is not allowed, with how many there are and some of their names.
    """
    candidates: dict[str, str] = {}
    for image, text in results:
        candidates.setdefault(image, text)
    name, truths = max(
        references.by_id.items(), key=lambda item: len(item[1].keys() & candidates.keys())
    )
    if not truths.keys() & candidates.keys():
        raise DataError(
            f"Not one of the {counted(len(candidates), 'image')} with a caption is in "
            f"{references.source}: the captions are of {name_some(list(candidates), 3)}; that "
            f"file has {name_some(list(truths), 3)}."
        )
    notes = [f"Images are matched by {name}."] if len(references.by_id) > 1 else []
    truths, said = _of_split(truths, split, candidates, references.source)
    problems = {
        "duplicate": [i for i, times in Counter(i for i, _ in results).items() if times > 1],
        "extra": [image for image in candidates if image not in truths],
        "missing": [image for image in truths if image not in candidates],
    }
    notes += [*said, *_judged(problems, allow)]
    kept = {image: text for image, text in candidates.items() if image in truths}
    return Matched(kept, {image: truths[image].texts for image in kept}, notes)


def _judged(problems: Mapping[str, Sequence[str]], allow: Collection[str]) -> Iterator[str]:
    """Say what is wrong, or refuse it."""
    for problem, images in problems.items():
        if images:
            what, then = PROBLEMS[problem]
            said = f"{counted(len(images), 'image')} {what}: {name_some(images)}"
            if problem not in allow:
                raise DataError(f"{said}. Mend the file, or add --allow {problem} ({then}).")
            yield f"{said} ({then})."


def _of_split(
    truths: dict[str, Truths], split: str | None, candidates: Collection[str], source: Path
) -> tuple[dict[str, Truths], list[str]]:
    """Keep the images of one split, or of those splits that candidates are of."""
    splits = {truth.split for truth in truths.values() if truth.split is not None}
    if split is not None and split not in splits:
        hint = did_you_mean(split, splits) if splits else "it says nothing of splits"
        raise UsageError(f"{source} has no split '{split}'; {hint}.")
    wanted = {truths[image].split for image in candidates if image in truths}
    wanted = wanted if split is None else {split}
    if not splits - wanted:
        return truths, []
    names = " and ".join(sorted(filter(None, wanted)))
    return {i: t for i, t in truths.items() if t.split in wanted}, [f"Scored on split {names}."]


def _karpathy(images: Sequence[Any], path: Path) -> dict[str, dict[str, Truths]]:
    by_id: dict[str, dict[str, Truths]] = {name: {} for name in KARPATHY_IDS}
    for number, image in enumerate(images):
        try:
            texts = [_text(one["raw"], path, number) for one in image["sentences"]]
        except (KeyError, TypeError) as error:
            raise DataError(
                f"images[{number}] of {path} has no 'sentences' with 'raw', as Karpathy's JSON has."
            ) from error
        for name, of in KARPATHY_IDS.items():
            if of(image) is not None:
                by_id[name][str(of(image))] = Truths(texts, image.get("split"))
    return {name: truths for name, truths in by_id.items() if truths}


def _entries(entries: Any, path: Path) -> Iterator[Result]:
    if not isinstance(entries, list):
        raise DataError(f"{path} holds neither a list of captions nor an object with image ids.")
    for number, entry in enumerate(entries):
        image = entry.get("image_id", entry.get("image")) if isinstance(entry, dict) else None
        if image is None or "caption" not in entry:
            raise DataError(
                f"Entry {number} of {path} is no object with 'image_id' and 'caption': "
                f"{json.dumps(entry)[:80]}"
            )
        yield str(image), _text(entry["caption"], path, image)


def _text(value: Any, path: Path, image: Any) -> str:
    if not isinstance(value, str):
        raise DataError(
            f"The caption of image {image} in {path} is no text: {json.dumps(value)[:80]}"
        )
    return value


def _load(path: Path) -> Any:
    return _loads(read_text(path), str(path))


def _loads(text: str, where: str) -> Any:
    # not pydantic, as elsewhere: it refuses half a surrogate pair, which models do write
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where} is not valid JSON: {error}.") from error
