"""The shapes in which JSON holds captions: COCO's, Karpathy's, and what other programs write.

[{"image_id": 7, "caption": "a bus"}]        COCO's results; BLIP, LAVIS, OFA
{"7": "a bus"}, {"7": ["a bus"]}, {"7": [{"caption": "a bus"}]}, [["7", "a bus"]]
{"images": [...], "annotations": [...]}      COCO's annotations, VizWiz's
{"images": [{"cocoid": 7, "sentences": [{"raw": "a bus"}]}]}    Karpathy's
{"results": any of these}, {"predictions": ...}, ...
{"image_id": [7], "caption": ["a bus"]}      a table by columns, as pandas writes it
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cutline.data.readers.coco import UNWANTED
from cutline.data.readers.columns import IMAGES, RUNNING, column, plain
from cutline.data.readers.files import counted
from cutline.data.results.records import Found, Names, Record, names_in, shown, spelled, texts_in
from cutline.errors import DataError

__all__ = ["read_json"]

# Keys under which a whole list or object of captions may stand.
_WRAPPERS = (
    "per_image", "annotations", "results", "result", "predictions", "imgToEval", "images",
    "captions", "hypotheses", "generations", "outputs", "output", "references", "data", "items",
    "samples", "rows", "records", "eval", "val", "test",
)  # fmt: skip
_NESTED = 8  # wrappers inside wrappers


def read_json(found: Any, path: Path, columns: Sequence[str]) -> Found:
    """Turn JSON into entries; `columns` are the keys of a text, the first preferred.

    Raises:
        DataError: it has none of the shapes above; which entry is wrong is said.
    """
    shape = _Shape(path, columns)
    records = list(shape.records(found, {}))
    return Found(path, records, shape.notes())


class _Shape:
    """Goes through one file, and remembers what was left out or chosen."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = columns
        self.unwanted: Counter[str] = Counter()
        self.chosen: dict[str, set[str]] = {}

    def notes(self) -> list[str]:
        """Say which of several texts were read, and which were not."""
        read = [
            f"{self.path}: captions are those of '{key}', not of {', '.join(sorted(others))}."
            for key, others in self.chosen.items()
        ]
        left = [
            f"{self.path}: left out {counted(count, 'caption')} {UNWANTED[mark]} ({mark})."
            for mark, count in self.unwanted.items()
        ]
        return read + left

    def records(self, found: Any, files: Mapping[str, Names], depth: int = 0) -> Iterator[Record]:
        """Give the entries of any shape; `files` are further names of an image by its id."""
        if isinstance(found, list):
            for number, entry in enumerate(found):
                yield from self._entry(entry, f"Entry {number}", files)
        elif not isinstance(found, dict):
            raise DataError(
                f"{self.path} holds neither a list of captions nor an object with image ids, but "
                f"{shown(found)}."
            )
        elif (names := _images_of(found)) and isinstance(found.get("annotations"), list):
            yield from self.records(found["annotations"], names, depth)
        elif (wrappers := _wrappers(found)) and depth < _NESTED:
            key, *others = wrappers
            if others:
                self.chosen.setdefault(key, set()).update(others)
            yield from self.records(found[key], files, depth + 1)
        elif rows := self._by_columns(found):
            yield from self.records(rows, files, depth)
        elif self._names_and_texts({plain(key): value for key, value in found.items()}):
            yield from self._entry(found, "The object", files)
        else:
            for image, value in found.items():
                yield Record({"image id": (image,)}, self._texts(value, image))

    def _entry(self, entry: Any, where: str, files: Mapping[str, Names]) -> Iterator[Record]:
        if isinstance(entry, list) and len(entry) == 2 and spelled(entry[0]) is not None:
            name = str(spelled(entry[0]))
            yield Record({"image id": (name,)}, self._texts(entry[1], name))
            return
        if isinstance(entry, dict) and isinstance(entry.get("sentences"), list):
            yield _karpathy(entry, where, self.path)
            return
        if isinstance(entry, dict):
            entry = {plain(key): value for key, value in entry.items()}
        if not isinstance(entry, dict) or not self._names_and_texts(entry):
            raise DataError(
                f"{where} of {self.path} is no object with 'image_id' and 'caption' (or other "
                f"names of these, such as 'image', 'file_name', 'id'; 'text', 'prediction'): "
                f"{shown(entry)}."
            )
        marked = next((mark for mark in UNWANTED if entry.get(mark) in (True, 1)), None)
        if marked:
            self.unwanted[marked] += 1
            return
        names = names_in(entry)
        first = next(iter(names.values()))[0]
        split = entry.get("split")
        yield Record(
            {**names, **files.get(first, {})},
            self._texts(entry, first),
            split if isinstance(split, str) else None,
        )

    def _names_and_texts(self, entry: Mapping[str, Any]) -> bool:
        return bool(names_in(entry)) and column(entry, self.columns) is not None

    def _texts(self, value: Any, image: str) -> tuple[str, ...]:
        if isinstance(value, dict) and (key := column(value, self.columns)):
            others = {o for o in self.columns if o != key and isinstance(value.get(o), str | list)}
            if others:
                self.chosen.setdefault(key, set()).update(others)
        return texts_in(value, self.columns, image, self.path)

    def _by_columns(self, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Turn a table by columns into its rows, if it is one."""
        text = column(found, self.columns)
        image = column(found, (*IMAGES, *RUNNING))
        if text is None or image is None:
            return []
        columns = {
            key: list(cells.values()) if isinstance(cells, dict) else cells
            for key, cells in found.items()
            if isinstance(cells, dict | list)
        }
        if not {text, image} <= columns.keys():
            return []
        count = len(columns[text])
        whole = {key: cells for key, cells in columns.items() if len(cells) == count}
        return [{key: cells[at] for key, cells in whole.items()} for at in range(count)]


def _wrappers(found: Mapping[str, Any]) -> list[str]:
    """Return the known keys under which a list or object of entries stands."""
    return [
        key
        for key in _WRAPPERS
        if isinstance(inner := found.get(key), dict | list)
        and inner
        and (key != "images" if isinstance(inner, dict) else isinstance(inner[0], dict | list))
    ]


def _images_of(found: Mapping[str, Any]) -> dict[str, Names]:
    """Return the further names that COCO's `images` give an id."""
    images = found.get("images")
    listed = [one for one in images if isinstance(one, dict)] if isinstance(images, list) else []
    named: dict[str, Names] = {}
    for image in listed:
        number = spelled(image.get("id"))
        if number is not None:
            named[number] = {
                key: names for key, names in names_in(image).items() if key not in RUNNING
            }
    return named


def _karpathy(image: Mapping[str, Any], where: str, path: Path) -> Record:
    """Read an image of Karpathy's JSON, known by number, file and its sentences' numbers."""
    try:
        texts = [one["raw"] for one in image["sentences"]]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{where} of {path} has no 'sentences' with 'raw', as Karpathy's JSON has."
        ) from error
    file, folder = image.get("filename"), image.get("filepath")
    paths = [file, f"{folder}/{file}"] if folder else [file]
    sentences = image.get("sentids")
    kinds = {
        "cocoid": [image.get("cocoid")],
        "filename": paths if file else [],
        "imgid": [image.get("imgid")],
        "sentids": sentences if isinstance(sentences, list) else [],
    }
    spelt = {kind: [spelled(name) for name in names] for kind, names in kinds.items()}
    names = {
        kind: tuple(name for name in said if name is not None)
        for kind, said in spelt.items()
        if any(name is not None for name in said)
    }
    if not names:
        raise DataError(f"{where} of {path} has no 'cocoid', 'filename' or 'imgid'.")
    number = next(iter(names.values()))[0]
    split = image.get("split")
    return Record(
        names, texts_in(texts, (), number, path), split if isinstance(split, str) else None
    )
