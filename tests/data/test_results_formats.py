"""Captions and references in the formats that `cutline caption` and other programs write."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cutline.data.results import match, read_references, read_results
from cutline.errors import DataError

SAID = {"a.jpg": "a bus, red", "b.jpg": 'a "cat"'}
PAIRS = list(SAID.items())


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def pairs(path: Path) -> list[tuple[str, str]]:
    return [(record.name, *record.texts) for record in read_results(path).records]


def lines(*entries: dict[str, Any]) -> str:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def table(rows: list[list[str]], **options: Any) -> str:
    stream = io.StringIO()
    csv.writer(stream, **options).writerows(rows)
    return stream.getvalue()


def entries(image: str, text: str, **more: Any) -> list[dict[str, Any]]:
    return [{image: name, text: said, **more} for name, said in PAIRS]


OURS = {
    "text": "a.jpg\ta bus, red\nb.jpg\ta \"cat\"\n",
    "json": lines(*entries("image", "caption", words=["a"], confidence=0.5, model="m")),
    "csv": table([["image", "caption", "confidence", "model", "unsure"]]
                 + [[*pair, "0.5", "m", "False"] for pair in PAIRS], lineterminator="\n"),
    "coco": "[\n" + ",\n".join(map(json.dumps, entries("image_id", "caption"))) + "\n]\n",
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".txt", ".csv", ".out", ""])
@pytest.mark.parametrize("form", OURS)
def test_what_caption_writes_is_read_in_every_format_whatever_the_suffix(tmp_path, form, suffix):
    assert pairs(write(tmp_path / f"captions{suffix}", OURS[form])) == PAIRS


OTHERS = {
    "lists by id": {name: [said] for name, said in PAIRS},
    "objects by id": {name: {"caption": said} for name, said in PAIRS},
    "lists of objects by id": {name: [{"caption": said}] for name, said in PAIRS},
    "pairs": PAIRS,
    "BLIP": entries("image_id", "caption"),
    "LAVIS": entries("question_id", "answer"),
    "a list of one prediction": [{"img_id": name, "prediction": [said]} for name, said in PAIRS],
    "results": {"version": 1, "results": entries("image_id", "caption")},
    "predictions": {"predictions": SAID},
    "annotations": {"annotations": entries("image_id", "caption", id=3)},
    "images": {"images": entries("file_name", "text")},
    "nested": {"results": {"val": entries("image", "generated")}},
    "coco-caption's evaluation": {
        "overall": {"CIDEr": 1.0},
        "imgToEval": {name: {"image_id": name, "caption": said} for name, said in PAIRS},
    },
    "columns": {"image": list(SAID), "caption": list(SAID.values())},
    "pandas": {
        "image": dict(enumerate(SAID)), "pred": dict(enumerate(SAID.values())),
    },
    "references and a hypothesis": {
        name: {"refs": ["a dog"], "hyp": said} for name, said in PAIRS
    },
    "the question beside the answer": entries("image", "text", prompt="Describe the picture."),
}  # fmt: skip


@pytest.mark.parametrize("shape", OTHERS)
def test_json_of_other_programs_is_read_in_any_of_their_shapes(tmp_path, shape):
    assert pairs(write(tmp_path / "theirs.json", OTHERS[shape])) == PAIRS


@pytest.mark.parametrize("image", ["image", "image_id", "file_name", "filename", "id", "Path"])
@pytest.mark.parametrize("text", ["caption", "text", "prompt", "prediction", "pred", "Generated"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_tables_are_read_by_the_names_of_their_columns(tmp_path, image, text, separator):
    rows = [
        ["n", image, "score", text],
        *([str(n), *p[:1], "1", p[1]] for n, p in enumerate(PAIRS)),
    ]
    for name, order in (("last.csv", (0, 1, 2, 3)), ("first.csv", (3, 2, 1, 0))):
        made = [[row[at] for at in order] for row in rows]
        path = write(tmp_path / name, "\ufeff" + table(made, delimiter=separator))
        assert pairs(path) == PAIRS


@pytest.mark.parametrize(
    "text",
    [
        table([list(pair) for pair in PAIRS]),
        table([["7.0", "a bus, red"], ["8", 'a "cat"']]),
        "a.jpg\ta bus, red\r\nb.jpg\ta \"cat\"\r\n",
        "a.jpg#0\ta bus, red\nb.jpg#0\ta \"cat\"\n",
        'a.jpg\t[{"caption": "a bus, red", "conf": 0.9}]\nb.jpg\t["a \\"cat\\""]\n',
    ],
)  # fmt: skip
def test_without_a_header_a_table_is_read_where_its_first_column_is_surely_images(tmp_path, text):
    assert [said for _, said in pairs(write(tmp_path / "theirs.txt", text))] == list(SAID.values())


ODD = "a\u2028red\u2029\x85\x0b\x0c\x1c bus"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "odd.jsonl",
            lines({"image": "a.jpg", "caption": ODD}, {"image": "b.jpg", "caption": "b"}),
        ),
        ("odd.txt", f"a.jpg\t{ODD}\nb.jpg\tb\n"),
        ("odd.csv", f"image,caption\na.jpg,{ODD}\nb.jpg,b\n"),
        ("odd2.csv", f"caption,image\n{ODD},a.jpg\nb,b.jpg\n"),
    ],
)
def test_only_a_line_feed_ends_a_line(tmp_path, name, content):
    assert pairs(write(tmp_path / name, content)) == [("a.jpg", ODD), ("b.jpg", "b")]


def test_the_hedge_before_an_unsure_caption_is_no_word_of_it_and_said(tmp_path):
    found = read_results(write(tmp_path / "out.txt", "a.jpg\tperhaps: a bus\nb.jpg\ta cat\n"))
    assert [record.texts for record in found.records] == [("a bus",), ("a cat",)]
    (note,) = found.notes
    assert "'perhaps:' before 1 unsure caption is no word of it and is not scored: a.jpg" in note
    other = write(tmp_path / "theirs.json", {"a.jpg": "perhaps: a bus"})
    assert pairs(other) == [("a.jpg", "perhaps: a bus")]


def test_of_several_texts_the_prediction_is_read_and_the_choice_is_said(tmp_path):
    truth = [{"image": "a.jpg", "caption": "a dog", "prediction": "a cat"}]
    found = read_results(write(tmp_path / "both.json", truth))
    assert found.records[0].texts == ("a cat",)
    assert found.notes[0].endswith("captions are those of 'prediction', not of caption.")
    assert read_references(tmp_path / "both.json").records[0].texts == ("a dog",)


def test_several_captions_of_an_image_are_several_results(tmp_path):
    found = read_results(write(tmp_path / "several.json", {"a.jpg": ["a cat", "a dog"], "b": []}))
    assert [record.texts for record in found.records] == [("a cat",), ("a dog",)]
    assert found.notes == [f"{tmp_path}/several.json: 1 image with an empty list of captions: b."]


# --- sidecars ------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("a.jpg", "sub/b.PNG", "bare.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    write(tmp_path / "a.txt", "perhaps: a bus\n")
    write(tmp_path / "sub" / "b.json", {"image": "elsewhere/b.PNG", "caption": "a cat"})
    return tmp_path


def test_a_folder_of_sidecars_is_read_with_its_pictures_names(album):
    found = read_results(album)
    assert [(r.name, r.texts) for r in found.records] == [
        ("a.jpg", ("a bus",)),
        ("sub/b.PNG", ("a cat",)),
    ]
    assert "no word of it" in found.notes[0]
    assert len(found.notes) == 1


def test_sidecars_of_one_picture_that_differ_are_named(album):
    write(album / "a.json", {"caption": "a bus"})
    assert len(read_results(album).notes) == 1
    write(album / "a.json", {"caption": "a train"})
    assert "1 file of captions not read" in read_results(album).notes[1]
    write(album / "a.json", {"photoTakenTime": "of some other program"})
    assert len(read_results(album).notes) == 1


def test_a_sidecar_that_may_be_of_two_pictures_is_refused_until_one_has_its_own(album):
    Image.new("RGB", (8, 8)).save(album / "a.png")
    with pytest.raises(DataError, match=r"a\.jpg, .*a\.png share a caption file"):
        read_results(album)
    write(album / "a.png.txt", "a train\n")
    assert pairs(album)[:2] == [("a.jpg", "a bus"), ("a.png", "a train")]


def test_sidecars_without_pictures_go_by_their_own_names(tmp_path):
    write(tmp_path / "a.txt", "a bus")
    write(tmp_path / "b.caption", "a cat")
    assert pairs(tmp_path) == [("a", "a bus"), ("b", "a cat")]


# --- references ----------------------------------------------------------------------------------

REFERENCES = {
    "flat.json": [
        {"image_id": image, "caption": f"{n} of {image}"} for image in ("7", 8.0) for n in range(2)
    ],
    "flat.jsonl": "".join(
        json.dumps({"image_id": image, "caption": f"{n} of {image}"}) + "\n"
        for image in (7, "8.0")
        for n in range(2)
    ),
    "blip.json": [
        {"image_id": image, "caption": [f"{n} of {image}" for n in range(2)]} for image in (7, 8.0)
    ],
    "rows.csv": "image_id,caption\n7,0 of 7\n8,0 of 8.0\n7,1 of 7\n8,1 of 8.0\n",
    "rows.tsv": "7\t0 of 7\n7\t1 of 7\n8\t0 of 8.0\n8\t1 of 8.0\n",
    "objects.json": {
        image: [{"caption": f"{n} of {image}"} for n in range(2)] for image in ("7", "8.0")
    },
    "both.json": {
        image: {"refs": [f"{n} of {image}" for n in range(2)], "hyp": "x"} for image in ("7", "8.0")
    },
}


@pytest.mark.parametrize("name", REFERENCES)
def test_references_may_be_any_file_with_several_captions_an_image(tmp_path, name):
    truths = read_references(write(tmp_path / name, REFERENCES[name]))
    results = read_results(write(tmp_path / "results.json", {"7": "x", "8": "y"}))
    assert match(results, truths).references == {
        "7": ["0 of 7", "1 of 7"],
        "8": ["0 of 8.0", "1 of 8.0"],
    }


def test_captions_that_their_makers_rejected_are_no_references(tmp_path):
    marks = [{}, {"is_rejected": True}, {"is_precanned": True}, {"is_rejected": False}]
    content = {
        "images": [{"id": 1, "file_name": "VizWiz_val_00000001.jpg"}],
        "annotations": [{"image_id": 1, "caption": f"c{n}", **m} for n, m in enumerate(marks)],
    }
    found = read_references(write(tmp_path / "val.json", content))
    assert found.records[0].texts == ("c0", "c3")
    assert [note.split("left out ")[1][:9] for note in found.notes] == ["1 caption"] * 2


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty; give JSON or JSON lines"),
        ("a dog\na cat\n", "names no images: it begins with 'a dog'; give"),
        ("a.jpg\ta dog\na cat\n", "line 2 of .* is not image<tab>caption: 'a cat'"),
        ("image,caption,x\na.jpg,a dog, a cat,3\n", "line 2 of .* has 4 cells, but its fir"),
        ('image,caption,x\na.jpg,"a dog,3\n', "is not CSV"),
        ("score,image,caption\na.jpg,a dog\n", "line 2 of .* has too few cells"),
        ('{"image": "a.jpg", "caption": "x"}\n{"image": ', "line 2 of .*not valid JSON.*cut short"),
        ('[{"image_id": 1, "caption": "x"},\n', "not valid JSON.*cut short: `cutline capt"),
        ("[1, 2]", "Entry 0 of .* no object with 'image_id' and 'caption'"),
        ('[{"image_id": NaN, "caption": "x"}]', "Entry 0 of .* no object with"),
        ('{"corpus": 1}', "The caption of image corpus in .* is no text: 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_what_can(tmp_path, content, sentence):
    with pytest.raises(DataError, match=sentence):
        read_results(write(tmp_path / "theirs.txt", content))


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x80\x04\x95", "a pickle, which may run code"),
        (b"PK\x03\x04", "a zip archive or a spreadsheet"),
        (b"PAR1", "a Parquet table"),
        (b"\x1f\x8b\x08", "packed by gzip"),
        (b"\xe9t\xe9", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_text_is_called_what_it_is(tmp_path, head, what):
    (tmp_path / "theirs").write_bytes(head + b"rest")
    with pytest.raises(DataError, match=what):
        read_results(tmp_path / "theirs")
    with pytest.raises(DataError):
        read_references(tmp_path / "theirs")


def test_names_that_caption_wrote_with_escapes_are_found(tmp_path):
    odd = ["plain.jpg", "a\u2028b.jpg", "tab\there.jpg", "\udcff.jpg", r"C:\new\x.jpg"]
    escaped = ["plain.jpg", r"a\u2028b.jpg", r"tab\there.jpg", r"\udcff.jpg", r"C:\\new\x.jpg"]
    truths = read_references(write(tmp_path / "truths.json", {name: ["a bus"] for name in odd}))
    results = write(tmp_path / "out.txt", "".join(f"{name}\ta bus\n" for name in escaped))
    assert len(match(read_results(results), truths).candidates) == 5


def test_names_that_only_look_escaped_stay_as_they_are(tmp_path):
    truths = read_references(write(tmp_path / "truths.json", {r"C:\temp\u0041.jpg": ["a bus"]}))
    for name in (r"C:\temp\u0041.jpg", r"x\u0041.jpg", r"C:\temp\Uffffffff.jpg"):
        results = read_results(write(tmp_path / "out.txt", f"{name}\ta bus\nb.jpg\tb\n"))
        made = match(results, truths, allow=["extra"]) if "0041" in name else None
        assert made is None or list(made.candidates) == [name]


def test_caption_files_of_two_kinds_in_a_folder_of_their_own_are_one_caption(tmp_path):
    for name, content in (("a.txt", "a bus"), ("a.json", {"caption": "a bus"})):
        write(tmp_path / name, content)
    assert pairs(tmp_path) == [("a", "a bus")]


@pytest.mark.parametrize("name", ["gone.json", "x" * 300])
def test_a_path_that_cannot_be_read_is_one_sentence(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read: "):
        read_results(tmp_path / name)
    with pytest.raises(DataError, match=r"cannot be read: |does not exist"):
        read_references(tmp_path / name)


@pytest.mark.parametrize(
    "keys", [("Image ID", "Caption"), ("imageId", "TEXT"), ("FileName", "Pred")]
)
def test_capitals_and_spaces_in_the_names_of_columns_do_not_matter(tmp_path, keys):
    image, text = keys
    rows = [[image, text], *map(list, PAIRS)]
    assert pairs(write(tmp_path / "a.csv", table(rows))) == PAIRS
    assert pairs(write(tmp_path / "a.json", entries(image, text))) == PAIRS


def test_of_two_lists_of_captions_one_is_read_and_it_is_said_which(tmp_path):
    found = read_results(
        write(tmp_path / "two.json", {"val": entries("id", "text"), "test": entries("id", "text")})
    )
    assert found.notes == [f"{tmp_path}/two.json: captions are those of 'val', not of test."]
