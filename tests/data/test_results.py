"""Anybody's captions and references, brought together by image id."""

import json
from pathlib import Path
from typing import Any

import pytest

from cutline.data.results import Found, Matched, Record, read_references, read_results
from cutline.data.results import match as match_found
from cutline.errors import DataError, UsageError

KARPATHY = {
    "images": [
        {
            "filename": f"COCO_val2014_{number:012}.jpg",
            "cocoid": number,
            "imgid": 100 - number,
            "split": split,
            "sentids": [100 * number + 1, 100 * number + 2],
            "sentences": [{"raw": f"a bus {number}."}, {"raw": ""}],
        }
        for number, split in ((7, "test"), (8, "test"), (9, "train"))
    ]
}


@pytest.fixture
def write(tmp_path: Path):
    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return write


PAIRS = [("7", "a bus"), ("8", "a cat")]


def pairs(path: Path) -> list[tuple[str, str]]:
    return [(record.name, *record.texts) for record in read_results(path).records]


def match(results: list[tuple[str, str]], references: Found, **options: Any) -> Matched:
    records = [Record({"image_id": (name,)}, (text,)) for name, text in results]
    return match_found(Found(Path("results"), records, []), references, **options)


BUS, CAT = {"caption": "a bus", "CIDEr": 1.0}, {"caption": "a cat", "CIDEr": 0.5}
LINES = '{"image": "7", "caption": "a bus"}\n\n{"image": "8", "caption": "a cat"}\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("coco.json", [{"image_id": 7, "caption": "a bus"}, {"image_id": "8", "caption": "a cat"}]),
        ("plain.json", {"7": "a bus", "8": "a cat"}),
        ("evaluated.json", {"corpus": {}, "per_image": {"7": BUS, "8": CAT}}),
        ("captioned.jsonl", LINES),
    ],
)
def test_captions_are_read_however_they_are_written(write, name: str, content: Any):
    assert pairs(write(name, content)) == PAIRS


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "not valid JSON"),
        ('"a bus"', "neither a list of captions nor an object"),
        ([{"image": 7}], "Entry 0 of .* no object with 'image_id' and 'caption'"),
        ([{"image_id": 7, "caption": None}], "The caption of image 7 .* is no text: null"),
        ({"7": [["a bus", 3]]}, "The caption of image 7 .* is no text: 3"),
        ([], "holds no captions; give JSON or JSON lines"),
        ({"7": []}, "holds no captions"),
        (["a bus"], "Entry 0 of .* no object with 'image_id' and 'caption'"),
        ("[" * 100_000, "is not valid JSON: it is nested too deeply"),
        ('[{"image_id": 7, "caption": "a bus"},', "is not valid JSON"),
    ],
)
def test_captions_that_are_none_are_refused_by_name(write, content: Any, sentence: str):
    with pytest.raises(DataError, match=sentence):
        read_results(write("bad.json", content))


def test_a_text_is_taken_as_it_stands(write):
    text = " \u2028|||\ud83d\x0b\x85 "
    assert pairs(write("odd.json", [{"image_id": 1, "caption": text}])) == [("1", text)]


@pytest.mark.parametrize(
    "content",
    [
        KARPATHY,
        {"7": ["a bus 7.", ""], "8": ["a bus 8.", ""]},
        {
            "annotations": [
                {"image_id": n, "caption": c} for n in (7, 8) for c in (f"a bus {n}.", "")
            ]
        },
    ],
)
def test_references_are_read_however_they_are_written(write, content: Any):
    made = match(PAIRS, read_references(write("references.json", content)))
    assert made.candidates == dict(PAIRS)
    assert made.references == {"7": ["a bus 7.", ""], "8": ["a bus 8.", ""]}


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        ("7", "cocoid"),
        ("93", "imgid"),
        ("COCO_val2014_000000000007.jpg", "filename"),
        ("COCO_val2014_000000000007", "filename, by base name without its ending"),
        ("photos/COCO_val2014_000000000007.jpg", "filename, by base name"),
        ("7.0", "cocoid, by number"),
        ("000000000007", "cocoid, by number"),
        ("000000000007.jpg", "cocoid, by number"),
        ("702", "sentids"),
    ],
)
def test_images_are_matched_by_whichever_name_the_captions_use(write, known: str, kind: str):
    truths = read_references(write("karpathy.json", KARPATHY))
    made = match([(known, "a bus")], truths, allow=["missing"])
    assert made.references == {known: ["a bus 7.", ""]}
    assert made.notes[0] == f"Images are matched by {kind}."


def test_the_split_is_that_of_the_captions(write):
    truths = read_references(write("karpathy.json", KARPATHY))
    assert "Scored on split test." in match(PAIRS, truths).notes
    with pytest.raises(DataError, match=r"1 image with references but no caption: 9\."):
        match(PAIRS, truths, split="train", allow=["extra"])
    with pytest.raises(UsageError, match=r"has no split 'tset'; did you mean 'test'\?"):
        match(PAIRS, truths, split="tset")


def test_a_data_set_serves_as_references(tmp_path: Path):
    (tmp_path / "captions.txt").write_text("image,caption\nx.jpg,A bus.\nx.jpg,A red bus.\n")
    made = match([("x.jpg", "a bus")], read_references(tmp_path))
    assert made.references == {"x.jpg": ["A bus.", "A red bus."]}


@pytest.mark.parametrize(
    ("results", "problem", "sentence", "kept"),
    [
        (PAIRS[:1], "missing", r"1 image with references but no caption: 8\.", {"7": "a bus"}),
        (
            [*PAIRS, ("5", "x")],
            "extra",
            "1 image with a caption but no references: 5",
            dict(PAIRS),
        ),
        (
            [*PAIRS, ("7", "x")],
            "duplicate",
            "1 image with more than one caption: 7",
            dict(PAIRS),
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name_unless_allowed(
    write, results, problem: str, sentence: str, kept: dict[str, str]
):
    truths = read_references(write("references.json", {"7": ["a"], "8": ["b"]}))
    with pytest.raises(DataError, match=f"{sentence}.*add --allow {problem}"):
        match(results, truths)
    made = match(results, truths, allow=[problem])
    assert made.candidates == kept
    assert sentence.split(":", maxsplit=1)[0] in made.notes[0]


def test_files_of_different_images_show_their_ids(write):
    truths = read_references(write("references.json", {"7": ["a"]}))
    with pytest.raises(DataError, match=r"captions are of x\.jpg; that file has 7"):
        match([("x.jpg", "a bus")], truths, allow=["missing", "extra"])
