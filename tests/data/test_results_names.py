"""Images are matched by any of their names, and never by one that fits several."""

from pathlib import Path

import pytest

from cutline.data.results import Found, Matched, Record, match
from cutline.errors import DataError


def found(*names: str | dict[str, str]) -> Found:
    """Return an entry for each name, or for several names of one image."""
    kinds = [{"image": name} if isinstance(name, str) else name for name in names]
    records = [
        Record({kind: (name,) for kind, name in one.items()}, (f"text {at}",))
        for at, one in enumerate(kinds)
    ]
    return Found(Path("file"), records, [])


def matched(captions: list, references: list, **options) -> Matched:
    return match(found(*captions), found(*references), **options)


@pytest.mark.parametrize(
    ("caption", "reference"),
    [
        ("000000391895", "391895"),
        ("391895.0", "391895"),
        ("391895", "000000391895.jpg"),
        ("391895", "COCO_val2014_000000391895.jpg"),
        ("val2014/COCO_val2014_000000391895.jpg", "391895"),
        ("COCO_val2014_000000391895", "COCO_val2014_000000391895.jpg"),
        ("http://images.cocodataset.org/val2017/000000391895.jpg?x=1", "000000391895.jpg"),
        ("./photos//a.jpg", "photos/a.jpg"),
        (r"C:\photos\a.jpg", "a.jpg"),
        ("/home/me/val/a.jpg", "val/a.jpg"),
        ("a", "photos/a.JPEG"),
        ("a.webp", "a.jpg"),
        ("2024.01.15 14.30", "2024.01.15 14.30.jpg"),
        ("caf\u00e9.jpg", "photos/cafe\u0301.jpg"),
        ("VizWiz_val_00000007.jpg", "7"),
        ("a\udcff.jpg", "x/a\udcff.jpg"),
    ],
)
def test_one_image_is_known_by_number_path_base_name_or_stem(caption, reference):
    for one, other in ((caption, reference), (reference, caption)):
        made = matched([one], [other, "another.png"], allow=["missing"])
        assert made.candidates == {one: "text 0"}
        assert made.notes[0].startswith("Images are matched by image, by ")


@pytest.mark.parametrize(
    ("caption", "reference"),
    [("7", "17"), ("a7.jpg", "7"), ("a.jpg", "b/b.jpg"), ("1.5", "1"), ("7_1.jpg", "7")],
)
def test_names_that_only_look_alike_are_of_two_images(caption, reference):
    with pytest.raises(DataError, match="Not one of the 1 image with a caption"):
        matched([caption], [reference], allow=["missing", "extra"])


def test_of_several_names_those_that_fit_count():
    captions = [{"image_id": "0", "image": "x/a.jpg"}, {"image_id": "1", "image": "x/b.jpg"}]
    made = matched(captions, ["b.jpg", "a.jpg"])
    assert made.references == {"x/a.jpg": ["text 1"], "x/b.jpg": ["text 0"]}


@pytest.mark.parametrize(
    ("captions", "references"),
    [
        (["a/1.jpg", "b/1.jpg"], ["1.jpg"]),
        (["1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["a.jpg", "a.png"], ["a"]),
        (["COCO_val2014_000000000007.jpg", "COCO_train2014_000000000007.jpg"], ["7"]),
        (["7"], ["007", "0007"]),
    ],
)
def test_a_name_that_fits_two_images_is_named_and_never_guessed(captions, references):
    with pytest.raises(DataError, match=r"that cannot be told apart by .* or .*--allow ambig"):
        matched(captions, references)
    several = [*captions, "sure.jpg"], [*references, "sure.jpg"]
    made = matched(*several, allow=["ambiguous", "missing"])
    assert list(made.candidates) == ["sure.jpg"]


def test_folders_tell_equal_base_names_apart_where_both_files_have_them():
    made = matched(["/x/b/1.jpg", "/x/a/1.jpg"], ["a/1.jpg", "b/1.jpg"])
    assert made.references == {"/x/b/1.jpg": ["text 1"], "/x/a/1.jpg": ["text 0"]}


def test_two_spellings_of_one_name_are_a_duplicate():
    with pytest.raises(DataError, match=r"1 image with more than one caption: \./a/1\.jpg\."):
        matched(["./a/1.jpg", "a/1.jpg"], ["1.jpg"])


def test_a_running_number_counts_only_where_no_name_does():
    references = [{"cocoid": str(1000 + n), "imgid": str(n)} for n in range(8)]
    made = matched(["3", "5"], references, allow=["missing"])
    assert made.references == {"3": ["text 3"], "5": ["text 5"]}
    assert made.notes[0] == "Images are matched by imgid."
    captions = ["1003", "1004", "7"]  # the last is no cocoid
    with pytest.raises(DataError, match="1 image with a caption but no references: 7"):
        matched(captions, references, allow=["missing"])


def test_that_numbers_would_fit_other_images_too_is_said():
    references = [{"cocoid": str(9 - n), "imgid": str(n)} for n in range(10)]
    made = matched(["3"], references, allow=["missing"])
    assert made.references == {"3": ["text 6"]}
    assert made.notes[1].startswith("By imgid all captions would match too, but other images")
