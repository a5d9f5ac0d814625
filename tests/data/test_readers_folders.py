"""Captions beside pictures, other columns, Flickr30k, VizWiz, and pictures that have no row."""

import json
from pathlib import Path

import pytest

from cutline.data.readers import open_dataset
from cutline.errors import DataError


def write(path: Path, content: object = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
    return path


def by_id(path: Path) -> dict[str, tuple[str, ...]]:
    return {example.image_id: example.captions for example in open_dataset(path).examples}


def notes(path: Path) -> str:
    return "\n".join(open_dataset(path).notes)


# --- captions beside pictures --------------------------------------------------------------------


@pytest.fixture
def album(tmp_path):
    for name in ("a.jpg", "b.PNG", "sub/c.webp", "without.jpg"):
        write(tmp_path / name)
    write(tmp_path / "a.txt", "\ufeffA dog .\r\n\r\nA brown dog .\r\n")
    write(tmp_path / "b.caption", "A cat")
    write(tmp_path / "sub" / "c.json", {"image": "c.webp", "caption": "A cow", "unsure": False})
    return tmp_path


def test_a_caption_file_beside_a_picture_holds_a_caption_a_line(album):
    dataset = open_dataset(album)
    assert dataset.kind == "captions beside pictures"
    assert by_id(album) == {
        "a.jpg": ("A dog .", "A brown dog ."),
        "b.PNG": ("A cat",),
        "sub/c.webp": ("A cow",),
    }
    assert dataset.examples[0].picture.path == album / "a.jpg"
    assert "left out 1 picture without captions: without.jpg." in dataset.notes
    assert "no split is given for 3 images" in dataset.notes[-1]


def test_split_folders_are_the_splits(tmp_path):
    for folder in ("train", "val", "test"):
        write(tmp_path / folder / "a.jpg")
        write(tmp_path / folder / "a.txt", folder)
    found = {one.image_id: (one.split, one.captions) for one in open_dataset(tmp_path).examples}
    assert found == {f"{name}/a.jpg": (name, (name,)) for name in ("train", "val", "test")}
    write(tmp_path / "b.jpg")
    write(tmp_path / "b.txt", "in no folder")
    assert "no split is given for 4 images" in notes(tmp_path)


def test_guesses_of_our_own_are_not_trained_on_and_counted(album):
    write(album / "a.txt", "perhaps: a dog\n")
    write(album / "sub" / "c.json", {"caption": "a cow", "unsure": True})
    assert by_id(album) == {"b.PNG": ("A cat",)}
    assert (
        "left out 2 pictures that a model captioned and was unsure of ('perhaps: '): a.jpg, "
        "sub/c.webp."
    ) in open_dataset(album).notes


def test_a_caption_file_that_could_be_of_two_pictures_is_of_none_and_named(album):
    write(album / "a.png")
    assert "a.jpg" not in by_id(album)
    assert "left out 2 pictures of equal names" in notes(album)
    write(album / "a.png.txt", "A bird")
    assert by_id(album)["a.png"] == ("A bird",)
    assert by_id(album)["a.jpg"] == ("A dog .", "A brown dog .")


def test_files_without_a_picture_and_beside_another_are_counted(album):
    write(album / "readme.txt", "no caption")
    write(album / "a.caption", "A third dog")
    write(album / "b.json", {"exposure": 3})
    assert "left out 1 file of captions without a picture: readme.txt." in notes(album)
    assert "left out 1 file of captions beside others of the same picture: a.cap" in notes(album)
    assert "b.json" not in notes(album)


def test_an_empty_caption_file_is_an_empty_caption(album):
    write(album / "b.caption", "\n \n")
    assert "left out 1 empty caption: b.PNG." in open_dataset(album).notes


def test_a_folder_of_pictures_without_captions_is_no_data_set(tmp_path):
    write(tmp_path / "a.jpg")
    write(tmp_path / "a.json", {"exposure": 3})
    write(tmp_path / "notes.txt", "no caption")
    with pytest.raises(DataError, match=r"not a data set .*photo\.txt or photo\.caption beside"):
        open_dataset(tmp_path)


# --- columns and separators ----------------------------------------------------------------------


@pytest.mark.parametrize("image", ["file_name", "filename", "image"])
@pytest.mark.parametrize("text", ["text", "caption", "captions", "prompt"])
def test_metadata_may_call_its_columns_otherwise(tmp_path, image, text):
    write(tmp_path / "csv" / "metadata.csv", f"x,{image},{text}\r\n1,a.jpg,A dog\r\n")
    rows = [{image: "a.jpg", text: "A dog"}, {image: "b.jpg", text: ["One", "Two"]}]
    write(tmp_path / "jsonl" / "metadata.jsonl", "\n".join(map(json.dumps, rows)))
    assert by_id(tmp_path / "csv") == {"a.jpg": ("A dog",)}
    assert by_id(tmp_path / "jsonl") == {"a.jpg": ("A dog",), "b.jpg": ("One", "Two")}


def test_of_two_columns_of_texts_one_is_read_and_it_is_said_which(tmp_path):
    write(tmp_path / "metadata.csv", "file_name,caption,text\na.jpg,A cat,A dog\n")
    assert by_id(tmp_path) == {"a.jpg": ("A dog",)}
    assert "captions are those of 'text', not of caption." in notes(tmp_path)


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["captions.txt", "captions.csv", "captions.tsv", "mine.csv"])
def test_captions_may_stand_between_tabs_semicolons_and_bars(tmp_path, separator, name):
    rows = [("Image", "n", "Caption"), ("a.jpg", "1", "A dog, a cat; a cow"), ("b.jpg", "2", '"x"')]
    text = "\r\n".join(separator.join(row) for row in rows) + "\r\n"
    path = write(tmp_path / name, "\ufeff" + text)
    assert by_id(path) == {"a.jpg": ("A dog, a cat; a cow",), "b.jpg": ("x",)}


def test_a_caption_that_is_not_the_last_column_must_be_quoted(tmp_path):
    write(tmp_path / "captions.csv", 'caption,image\n"A dog, a cat",a.jpg\n')
    assert by_id(tmp_path) == {"a.jpg": ("A dog, a cat",)}
    write(tmp_path / "captions.csv", "caption,image\nA dog, a cat,a.jpg\n")
    with pytest.raises(DataError, match=r"line 2 of .* has 3 cells, but its first line 2"):
        open_dataset(tmp_path)


def test_what_caption_wrote_is_trained_on_but_for_its_guesses(tmp_path):
    rows = ["a.jpg,a dog,0.5,false,m", "b.jpg,a cat,0.1,true,m"]
    write(tmp_path / "captions.csv", "\n".join(["image,caption,confidence,unsure,model", *rows]))
    assert by_id(tmp_path) == {"a.jpg": ("a dog",)}
    assert "left out 1 caption that a model was unsure of: b.jpg." in notes(tmp_path)


# --- Flickr30k -----------------------------------------------------------------------------------

KAGGLE = (
    "image_name| comment_number| comment\n"
    "1000092795.jpg| 0| Two young guys | with shaggy hair .\n"
    "2199200615.jpg| 4   A dog runs across the grass .\n"
    '1000092795.jpg| 1| "Stop" says a sign .\n'
)


@pytest.mark.parametrize("folder", ["flickr30k-images", "flickr30k_images"])
def test_flickr30k_of_kaggle_is_read_with_its_broken_row(tmp_path, folder):
    place = write(tmp_path / folder / "1000092795.jpg")
    write(tmp_path / folder / "2199200615.jpg")
    write(tmp_path / folder / "extra.jpg")
    write(tmp_path / "results.csv", KAGGLE)
    assert by_id(tmp_path) == {
        "1000092795.jpg": ("Two young guys | with shaggy hair .", '"Stop" says a sign .'),
        "2199200615.jpg": ("A dog runs across the grass .",),
    }
    dataset = open_dataset(tmp_path)
    assert dataset.examples[0].picture.path == place
    assert dataset.notes[0] == "1 row without a '|' read all the same: 2199200615.jpg."
    assert dataset.notes[1].startswith("1 picture without a row: ")


def test_flickr30k_of_kaggle_is_found_from_above_its_folder(tmp_path):
    write(tmp_path / "flickr30k_images" / "results.csv", KAGGLE)
    place = write(tmp_path / "flickr30k_images" / "flickr30k_images" / "1000092795.jpg")
    assert open_dataset(tmp_path).examples[0].picture.path == place


def test_figures_in_results_csv_are_no_data_set(tmp_path):
    write(tmp_path / "results.csv", "image_id,caption,BLEU-1\na.jpg,a dog,0.5\n")
    with pytest.raises(DataError, match="is not a data set"):
        open_dataset(tmp_path)


def test_flickr30k_as_published_is_read(tmp_path):
    write(tmp_path / "results_20130124.token", "a.jpg#0\tA dog .\na.jpg#1\tA pup .\n")
    place = write(tmp_path / "flickr30k-images" / "a.jpg")
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "Flickr30k token file"
    assert dataset.examples[0].captions == ("A dog .", "A pup .")
    assert dataset.examples[0].picture.path == place


# --- VizWiz --------------------------------------------------------------------------------------


def vizwiz(split: str, first: int) -> dict:
    marks = [{}, {"is_rejected": True}, {"is_precanned": True}, {}]
    return {
        "images": [
            {"id": first + n, "file_name": f"VizWiz_{split}_{n:08}.jpg", "text_detected": False}
            for n in range(2)
        ],
        "annotations": [
            {
                "image_id": first,
                "caption": f"c{n}",
                "is_rejected": False,
                "is_precanned": False,
                **m,
            }
            for n, m in enumerate(marks)
        ]
        + [{"image_id": first + 1, "caption": "bad", "is_rejected": True, "is_precanned": True}],
    }


@pytest.mark.parametrize("folder", [".", "annotations"])
def test_vizwiz_is_read_without_what_its_makers_rejected(tmp_path, folder):
    for split, first in (("train", 0), ("val", 10)):
        write(tmp_path / folder / f"{split}.json", vizwiz(split, first))
        for number in range(2):
            write(tmp_path / split / f"VizWiz_{split}_{number:08}.jpg")
    write(tmp_path / folder / "test.json", {"images": [{"id": 20, "file_name": "x.jpg"}]})
    dataset = open_dataset(tmp_path)
    found = [(one.image_id, one.split, one.captions) for one in dataset.examples]
    assert found == [("0", "train", ("c0", "c3")), ("10", "val", ("c0", "c3"))]
    assert dataset.examples[1].picture.path == tmp_path / "val" / "VizWiz_val_00000000.jpg"
    assert [note for note in dataset.notes if note.startswith("train.json")] == [
        "train.json: left out 2 captions rejected by the data set's makers (is_rejected).",
        "train.json: left out 1 caption saying only that nothing can be seen (is_precanned).",
        "train.json: left out 1 image without any other caption: 1.",
    ]
    assert "test.json is not read: it has no captions." in dataset.notes


# --- pictures without a row ----------------------------------------------------------------------

ROWS = {
    "metadata.csv": ("file_name,text\na.jpg,A dog\n", "."),
    "metadata.jsonl": ('{"image": "a.jpg", "prompt": "A dog"}\n', "."),
    "captions.txt": ("image,caption\na.jpg,A dog\n", "Images"),
    "Flickr8k.token.txt": ("a.jpg#0\tA dog\n", "Flicker8k_Dataset"),
    "dataset_x.json": (
        json.dumps(
            {"images": [{"filename": "a.jpg", "split": "val", "sentences": [{"raw": "A dog"}]}]}
        ),
        "images",
    ),
    "captions_val2017.json": (
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg"}],
                "annotations": [{"image_id": 1, "caption": "A dog"}],
            }
        ),
        "val2017",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_pictures_that_no_row_names_are_counted_and_named(tmp_path, name):
    text, folder = ROWS[name]
    write(tmp_path / name, text)
    write(tmp_path / folder / "a.jpg")
    assert "without a row" not in notes(tmp_path)
    for extra in ("b.jpg", "c.PNG", ".hidden.jpg", "notes.pdf"):
        write(tmp_path / folder / extra)
    assert f"2 pictures without a row: {tmp_path / folder / 'b.jpg'}, " in notes(tmp_path)


def test_pictures_without_a_row_are_looked_for_in_folders_of_folders(tmp_path):
    write(tmp_path / "metadata.csv", "file_name,text\nx/a.jpg,A dog\n")
    for name in ("x/a.jpg", "y/b.jpg"):
        write(tmp_path / name)
    assert f"1 picture without a row: {tmp_path / 'y' / 'b.jpg'}." in notes(tmp_path)


def test_pictures_of_another_split_in_one_folder_have_rows(tmp_path):
    for number, split in enumerate(("train", "val")):
        content = {
            "images": [{"id": number, "file_name": f"{split}.jpg"}],
            "annotations": [{"image_id": number, "caption": "A dog"}],
        }
        write(tmp_path / "annotations" / f"captions_{split}2017.json", content)
        write(tmp_path / "images" / f"{split}.jpg")
    assert open_dataset(tmp_path).notes == ()
    (note,) = open_dataset(tmp_path / "annotations" / "captions_val2017.json").notes
    assert note.startswith("1 picture without a row: ")
