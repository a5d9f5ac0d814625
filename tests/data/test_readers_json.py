"""Karpathy's JSON and COCO's: splits, image folders, and what is said of files that are broken."""

import json
from pathlib import Path

import pytest

from cutline.data.readers import open_dataset
from cutline.errors import DataError


def karpathy_image(filename: str, split: str = "train", *captions: object, **more: object) -> dict:
    sentences = [{"raw": caption, "tokens": []} for caption in captions or ["A dog ."]]
    return {"filename": filename, "split": split, "sentences": sentences, "imgid": 0, **more}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def coco(*ids: int, captions: bool = True) -> dict:
    return {
        "info": {"year": 2017},
        "images": [{"id": id_, "file_name": f"{id_:04}.jpg", "height": 3} for id_ in ids],
        "annotations": [{"id": 9, "image_id": id_, "caption": f"{id_} dogs"} for id_ in ids]
        if captions
        else [],
    }


# --- Karpathy ------------------------------------------------------------------------------------


def test_restval_is_train(tmp_path):
    splits = ["train", "restval", "val", "test"]
    images = [karpathy_image(f"{split}.jpg", split) for split in splits]
    dataset = open_dataset(write(tmp_path / "dataset_x.json", {"images": images}))
    assert [example.split for example in dataset.examples] == ["train", "train", "val", "test"]


def test_an_unknown_split_is_named_with_its_entry(tmp_path):
    images = [karpathy_image("a.jpg"), karpathy_image("b.jpg", "holiday")]
    path = write(tmp_path / "dataset_x.json", {"images": images})
    with pytest.raises(DataError, match=r"images\[1\] in .* has the split 'holiday'; allowed are"):
        open_dataset(path)


@pytest.mark.parametrize("folder", ["images/val2014", "images", "val2014", "."])
def test_the_filepath_of_coco_may_be_a_folder_or_not(folder, tmp_path):
    place = touch(tmp_path / folder / "a.jpg")
    images = [karpathy_image("a.jpg", filepath="val2014")]
    (example,) = open_dataset(write(tmp_path / "dataset_x.json", {"images": images})).examples
    assert example.picture.path == place
    assert example.image_id == "val2014/a.jpg"


def test_captions_come_on_one_line_and_empty_ones_are_counted_and_named(tmp_path):
    images = [
        karpathy_image("a.jpg", "train", "  A dog\r\nruns  . ", "", None, " \n"),
        karpathy_image("b.jpg", "train", ""),
    ]
    dataset = open_dataset(write(tmp_path / "dataset_x.json", {"images": images}))
    assert [example.captions for example in dataset.examples] == [("A dog runs .",), ()]
    assert "left out 4 empty captions: a.jpg, a.jpg, a.jpg, b.jpg." in dataset.notes


def test_missing_images_are_kept_and_noted(tmp_path):
    touch(tmp_path / "images" / "here.jpg")
    images = [karpathy_image("here.jpg"), karpathy_image("gone.jpg")]
    dataset = open_dataset(write(tmp_path / "dataset_x.json", {"images": images}))
    assert dataset.examples[1].picture.path == tmp_path / "images" / "gone.jpg"
    (note,) = dataset.notes
    assert note.startswith(f"not found in {tmp_path}/images or ")
    assert note.endswith(": 1 of 2 images: gone.jpg.")


def test_an_image_named_twice_is_refused_with_its_splits(tmp_path):
    images = [karpathy_image("a.jpg"), karpathy_image("a.jpg", "val"), karpathy_image("b.jpg")]
    path = write(tmp_path / "dataset_x.json", {"images": images})
    with pytest.raises(DataError, match=r"names 1 image more than once: a\.jpg \(in train and val"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", r"dataset_x\.json is not valid JSON: EOF while parsing a value at line 1 column 0\.$"),
        ('{"images": [', r"is not valid JSON: EOF while parsing a list at line 1"),
        ("[" * 100_000, r"is not valid JSON: "),
        ([], r"dataset_x\.json holds something else than a JSON object with keys\."),
        ({}, r"dataset_x\.json has no 'images', which this format needs\."),
        ({"images": []}, r"names no images; give a file with at least one"),
        ({"images": {}}, r"'images' of .*dataset_x\.json is not as this format needs it: input sh"),
        ({"images": [{"filename": "a.jpg"}]}, r"images\[0\] in .* has no 'split'"),
        ({"images": [3]}, r"'0' of images in .* is not as this format needs it"),
        ({"images": [karpathy_image("")]}, "has an image without a name"),
        (
            {"images": [{**karpathy_image("a"), "sentences": [{"raw": "A"}, {"tokens": []}]}]},
            r"images\[0\]\.sentences\[1\] in .*dataset_x\.json has no 'raw'",
        ),
        ({"images": [karpathy_image("a", "train", 7)]}, r"'raw' of .*\.sentences\[0\] in "),
    ],
)
def test_json_that_is_broken_or_of_another_shape_is_named_to_the_entry(content, said, tmp_path):
    with pytest.raises(DataError, match=said) as caught:
        open_dataset(write(tmp_path / "dataset_x.json", content))
    assert "\n" not in str(caught.value)


# --- COCO ----------------------------------------------------------------------------------------


def test_coco_reads_every_caption_file_of_a_folder_or_of_its_annotations(tmp_path):
    for folder in (tmp_path / "flat", tmp_path / "unpacked" / "annotations"):
        write(folder / "captions_train2017.json", coco(1, 2))
        write(folder / "captions_val2017.json", coco(3))
        write(folder / "captions_val2017_mine_results.json", [])  # what a model said
    for folder in (tmp_path / "flat", tmp_path / "unpacked"):
        examples = open_dataset(folder).examples
        found = [(one.image_id, one.split, one.captions) for one in examples]
        assert found == [
            ("1", "train", ("1 dogs",)),
            ("2", "train", ("2 dogs",)),
            ("3", "val", ("3 dogs",)),
        ]


@pytest.mark.parametrize("folder", ["train2017", "../train2017", "../images/train2017", "images"])
def test_coco_finds_its_images_beside_or_above(folder, tmp_path):
    file = write(tmp_path / "annotations" / "captions_train2017.json", coco(1))
    place = touch(tmp_path / "annotations" / folder / "0001.jpg").resolve()
    assert open_dataset(file).examples[0].picture.path == place


def test_coco_given_only_train_has_only_train(tmp_path):
    write(tmp_path / "captions_train2017.json", coco(*range(50)))
    assert {example.split for example in open_dataset(tmp_path).examples} == {"train"}


def test_coco_whose_name_mentions_no_split_is_held_out(tmp_path):
    write(tmp_path / "captions_mine.json", coco(*range(50)))
    dataset = open_dataset(tmp_path)
    assert {example.split for example in dataset.examples} == {"train", "val", "test"}
    assert dataset.notes[-1].startswith("no split is given for 50 images: about 5% are held out")


def test_an_image_in_two_coco_files_is_refused(tmp_path):
    write(tmp_path / "captions_train2014.json", coco(1))
    write(tmp_path / "captions_val2017.json", coco(1))
    with pytest.raises(DataError, match=r"names 1 image more than once: 1 \(in train and val\)"):
        open_dataset(tmp_path)


def test_captions_of_unknown_images_are_noted_and_images_without_any_kept(tmp_path):
    content = coco(1, 2)
    content["annotations"][1]["image_id"] = 77
    dataset = open_dataset(write(tmp_path / "captions_val.json", content))
    assert [example.captions for example in dataset.examples] == [("1 dogs",), ()]
    assert dataset.notes[-1] == (
        "captions_val.json: left out 1 caption of images it does not list: 77."
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"images": []}, r"captions_val\.json has no 'annotations', which this format needs"),
        ({**coco(), "annotations": [{"image_id": 1}]}, r"annotations\[0\] in .* has no 'caption'"),
        ({**coco(1), "images": [{"id": 1}]}, r"images\[0\] in .* has no 'file_name'"),
        ({**coco(), "images": [{"id": [], "file_name": "a"}]}, r"'id' of images\[0\] in .* is not"),
    ],
)
def test_coco_json_of_another_shape_is_named_to_the_entry(content, said, tmp_path):
    with pytest.raises(DataError, match=said):
        open_dataset(write(tmp_path / "captions_val.json", content))
