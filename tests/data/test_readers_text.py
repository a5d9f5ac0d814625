"""Flickr8k's token file, captions.txt and the imagefolder: lists, quoting, encodings, merging."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.data.readers import open_dataset
from cutline.data.readers.tables import read_table
from cutline.errors import DataError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def by_id(path: Path) -> dict[str, tuple[str, ...]]:
    return {example.image_id: example.captions for example in open_dataset(path).examples}


# --- Flickr8k ------------------------------------------------------------------------------------


@pytest.fixture
def flickr8k(tmp_path):
    text = tmp_path / "Flickr8k_text"
    names = ["a.jpg", "b.jpg", "c.jpg", "spare.jpg", "2258277193_586949ec62.jpg.1"]
    lines = "".join(f"{name}#0\tOne .\n{name}#1\tTwo .\n" for name in names)
    write(text / "Flickr8k.token.txt", lines)
    for part, name in {"train": "a", "dev": "b", "test": "c"}.items():
        write(text / f"Flickr_8k.{part}Images.txt", f"{name}.jpg\n")
    for name in names[:4]:
        write(tmp_path / "Flicker8k_Dataset" / name, "")
    return tmp_path


def test_flickr8k_as_published_is_read_from_above_or_from_its_text_folder(flickr8k):
    for path in (flickr8k, flickr8k / "Flickr8k_text"):
        dataset = open_dataset(path)
        found = [(one.image_id, one.split, one.captions) for one in dataset.examples]
        assert found == [
            ("a.jpg", "train", ("One .", "Two .")),
            ("b.jpg", "val", ("One .", "Two .")),
            ("c.jpg", "test", ("One .", "Two .")),
        ]
        assert dataset.examples[0].picture.path == flickr8k / "Flicker8k_Dataset" / "a.jpg"


def test_the_image_that_does_not_exist_and_those_in_no_list_are_noted(flickr8k):
    assert open_dataset(flickr8k).notes == (
        "left out 1 image with a name that no file has: 2258277193_586949ec62.jpg.1.",
        "left out 1 image in no split list: spare.jpg.",
    )


def test_a_list_may_be_missing_or_name_images_without_captions(flickr8k):
    (flickr8k / "Flickr8k_text" / "Flickr_8k.testImages.txt").unlink()
    write(flickr8k / "Flickr8k_text" / "Flickr_8k.devImages.txt", "\ufeffb.jpg\r\n\r\nz.jpg\r\n")
    dataset = open_dataset(flickr8k)
    assert [example.split for example in dataset.examples] == ["train", "val"]
    assert "left out 1 image without captions in a split list: z.jpg." in dataset.notes


def test_an_image_in_two_lists_is_refused(flickr8k):
    write(flickr8k / "Flickr8k_text" / "Flickr_8k.devImages.txt", "a.jpg\nb.jpg\n")
    with pytest.raises(
        DataError, match=r"split lists in .* name 1 image twice: a\.jpg \(in train and val"
    ):
        open_dataset(flickr8k)


def test_without_lists_images_are_held_out(tmp_path):
    write(tmp_path / "Flickr8k.token.txt", "".join(f"{n}.jpg#0\tA dog\n" for n in range(40)))
    dataset = open_dataset(tmp_path)
    assert {example.split for example in dataset.examples} == {"train", "val", "test"}
    assert "no split is given for 40 images" in dataset.notes[-1]


def test_a_line_that_is_no_caption_is_named(tmp_path):
    write(tmp_path / "Flickr8k.token.txt", "a.jpg#0\tA dog\n\nnonsense\n")
    with pytest.raises(
        DataError, match=r"line 3 of .* is not 'image\.jpg#0<tab>caption' but 'nons"
    ):
        open_dataset(tmp_path)


# --- captions.txt --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "caption"),
    [
        ("a.jpg,A dog runs", "A dog runs"),
        ("a.jpg,A dog, a cat, and a cow", "A dog, a cat, and a cow"),
        ('a.jpg,"A dog, a cat"', "A dog, a cat"),
        ('a.jpg,"A sign says ""stop"" ."', 'A sign says "stop" .'),
        ('a.jpg,A sign says "stop" .', 'A sign says "stop" .'),
        ('a.jpg,"Stop" says a sign', '"Stop" says a sign'),
        ('a.jpg,"Nobody closes this', '"Nobody closes this'),
        ('a.jpg,"Over\ntwo lines, quoted"', "Over two lines, quoted"),
        ('"a.jpg" , "Both quoted"', "Both quoted"),
        (" a.jpg ,  spaces  ", "spaces"),
        ("a.jpg,Ünïcödé 狗", "Ünïcödé 狗"),
    ],
)
def test_commas_and_quotation_marks_survive_quoted_or_not(row, caption, tmp_path):
    write(tmp_path / "captions.txt", f"image,caption\n{row}\nb.jpg,next\n")
    assert by_id(tmp_path) == {"a.jpg": (caption,), "b.jpg": ("next",)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), min_size=1))
def test_whatever_pythons_csv_writes_is_read_back(captions):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([["image", "caption"], *(["a.jpg", caption] for caption in captions)])
    table = read_table(buffer.getvalue(), ["image"], ["caption"], "")
    assert [row.cells for row in table.rows] == [["a.jpg", caption] for caption in captions]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_byte_order_marks_and_line_ends_of_other_systems_are_coped_with(
    encoding, newline, tmp_path
):
    text = newline.join(["image,caption", "a.jpg,Ein Hündchen", "", "a.jpg,zwei", ""])
    write(tmp_path / "captions.txt", text, encoding)
    assert by_id(tmp_path / "captions.txt") == {"a.jpg": ("Ein Hündchen", "zwei")}


def test_another_encoding_is_named_with_its_line(tmp_path):
    write(tmp_path / "captions.txt", "image,caption\na.jpg,Ein Hündchen\n", "latin-1")
    with pytest.raises(
        DataError, match=r"not UTF-8 text: byte 0xfc in line 2 is not; save it again"
    ):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"line 1 of .* is ''; put 'image,caption' there"),
        ("a.jpg,A dog\n", r"line 1 of .* is 'a\.jpg,A dog'; put 'image,caption' there"),
        ("image,caption\n", "names no images"),
        ("image,caption\na.jpg,A dog\nno comma\n", r"line 3 of .* is not 'image,caption': 'no com"),
        ("image,caption\n,A dog\n", "has an image without a name"),
    ],
)
def test_captions_txt_without_header_rows_commas_or_names_says_so(text, said, tmp_path):
    with pytest.raises(DataError, match=said):
        open_dataset(write(tmp_path / "captions.txt", text))


def test_captions_txt_finds_its_images_folder(tmp_path):
    place = write(tmp_path / "Images" / "a.jpg", "")
    write(tmp_path / "captions.txt", "image,caption\na.jpg,A dog\n")
    assert open_dataset(tmp_path).examples[0].picture.path == place


# --- imagefolder ---------------------------------------------------------------------------------


def test_rows_and_lists_of_one_image_merge(tmp_path):
    rows = [
        '{"file_name": "a.jpg", "text": "One"}',
        "",
        '{"file_name": "b.jpg", "text": ["Two", "Three"]}',
        '{"file_name": "a.jpg", "text": "Four", "x": 1}',
    ]
    write(tmp_path / "metadata.jsonl", "\n".join(rows))
    assert by_id(tmp_path) == {"a.jpg": ("One", "Four"), "b.jpg": ("Two", "Three")}


@pytest.mark.parametrize("val", ["val", "validation"])
def test_splits_are_folders_each_with_its_metadata(val, tmp_path):
    for folder in ("train", val, "test"):
        write(tmp_path / folder / "metadata.csv", 'file_name,text\nx/a.jpg,"A dog, a cat"\n')
        write(tmp_path / folder / "x" / "a.jpg", "")
    found = {one.image_id: (one.split, one.picture.path) for one in open_dataset(tmp_path).examples}
    assert found == {
        f"{folder}/x/a.jpg": (split, tmp_path / folder / "x" / "a.jpg")
        for folder, split in {"train": "train", val: "val", "test": "test"}.items()
    }


def test_one_metadata_file_may_name_split_folders(tmp_path):
    rows = "".join(f"{folder}/a.jpg,A dog\n" for folder in ("train", "val"))
    write(tmp_path / "metadata.csv", "file_name,text\n" + rows)
    dataset = open_dataset(tmp_path)
    assert {one.image_id: one.split for one in dataset.examples} == {
        "train/a.jpg": "train",
        "val/a.jpg": "val",
    }


def test_a_folder_of_pictures_of_trains_is_no_split(tmp_path):
    rows = "".join(f"{kind}/{n}.jpg,A thing\n" for kind in ("train", "plane") for n in range(30))
    write(tmp_path / "metadata.csv", "file_name,text\n" + rows)
    assert {one.split for one in open_dataset(tmp_path).examples} == {"train", "val", "test"}


def test_of_jsonl_and_csv_the_first_is_read_with_a_note(tmp_path):
    write(tmp_path / "metadata.jsonl", '{"file_name": "a.jpg", "text": "From JSON"}')
    write(tmp_path / "metadata.csv", "file_name,text\na.jpg,From CSV\n")
    dataset = open_dataset(tmp_path)
    assert dataset.examples[0].captions == ("From JSON",)
    assert dataset.notes[0].endswith("metadata.csv is not read, as metadata.jsonl is there.")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metadata.jsonl", '{"file_name": "a"}', r"line 1 of .* has no 'text', 'caption', "),
        ("metadata.jsonl", '\n{"file_name": "a", "text": 3}', r"'text' of line 2 of .* is not as"),
        ("metadata.jsonl", "nonsense", r"line 1 of .*metadata\.jsonl is not valid JSON"),
        ("metadata.jsonl", "", "names no images"),
        ("metadata.csv", "", "has no columns 'file_name', 'filename' or 'image' and 'text'"),
        ("metadata.csv", "file_name,label\n", "has no columns .* its first line is 'file_name,la"),
        ("metadata.csv", "file_name,text\na.jpg\n", r"line 2 of .* has no text"),
        (
            "metadata.csv",
            f"file_name,text,x\na.jpg,{'x' * 200_000},\n",
            r"line 2 of .* is not CSV: fi",
        ),
    ],
)
def test_metadata_of_another_shape_is_named_to_the_line(name, text, said, tmp_path):
    with pytest.raises(DataError, match=said):
        open_dataset(write(tmp_path / name, text))
