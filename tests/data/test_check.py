"""`check_dataset` finds every kind of fault, counts it and names the image."""

import json
import math

import pytest
from PIL import Image

from cutline.data.check import Spread, check_dataset
from cutline.data.examples import Dataset, Example, Photograph


class Drawn:
    """A picture that is in no file."""

    def __init__(self, colour: str) -> None:
        self.name = f"drawn {colour}"
        self.colour = colour

    def open(self) -> Image.Image:
        return Image.new("RGB", (4, 4), self.colour)


@pytest.fixture
def picture(tmp_path):
    """Return a function that puts a picture of one colour into a file."""

    def make(name: str, colour: str, size: tuple[int, int] = (8, 6)) -> Photograph:
        Image.new("RGB", size, colour).save(tmp_path / name)
        return Photograph(tmp_path / name)

    return make


def dataset(*examples: Example, notes: tuple[str, ...] = ()) -> Dataset:
    return Dataset("hand-made", "here", examples, notes)


def test_a_sound_data_set_is_ok_with_its_numbers(picture):
    report = check_dataset(
        dataset(
            Example("a", picture("a.png", "red"), ("One word more", "Two"), "train"),
            Example("b", picture("b.png", "blue", (20, 30)), ("A dog runs fast",), "val"),
        )
    )
    assert report.ok
    assert report.lines() == [
        "hand-made: 2 images, 3 captions (train 1, val 1)",
        "missing images: 0",
        "unreadable images: 0",
        "images without captions: 0",
        "images with empty captions: 0",
        "images in two splits: 0",
        "captions per image: 1 to 2, mean 1.5",
        "words per caption: 1 to 4, mean 2.7",
        "image width: 8 to 20, mean 14.0; height: 6 to 30, mean 18.0",
    ]


def test_missing_and_unreadable_images_are_named_with_the_reason(picture, tmp_path):
    cut = picture("cut.png", "red", (300, 300)).path
    cut.write_bytes(cut.read_bytes()[:120])
    (tmp_path / "folder.png").mkdir()
    names = ["gone.png", "cut.png", "folder.png"]
    report = check_dataset(
        dataset(*(Example(one, Photograph(tmp_path / one), ("A dog",), "train") for one in names))
    )
    assert not report.ok
    assert [problem.name for problem in report.missing] == ["gone.png"]
    assert [problem.name for problem in report.unreadable] == ["cut.png", "folder.png"]
    assert "damaged or cut short" in report.unreadable[0].reason
    assert f"  gone.png: {tmp_path}/gone.png does not exist" in report.lines()


def test_a_file_that_goes_away_meanwhile_is_unreadable(picture, monkeypatch):
    photograph = picture("a.png", "red")

    def vanish(self: Photograph) -> Image.Image:
        self.path.unlink()
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(Photograph, "open", vanish)
    report = check_dataset(dataset(Example("a", photograph, ("A dog",), "train")))
    assert [problem.name for problem in report.unreadable] == ["a"]


def test_images_without_captions_and_with_empty_ones_are_told_apart():
    report = check_dataset(
        dataset(
            Example("none", Drawn("red"), (), "train"),
            Example("blank", Drawn("blue"), (" ", ""), "train"),
            Example("some", Drawn("green"), ("A dog", "\n"), "train"),
        )
    )
    assert [problem.name for problem in report.without_captions] == ["none", "blank"]
    assert report.empty_captions == [("some", "1 of 2 empty")]


def test_an_image_in_two_splits_is_found_by_id_by_file_and_by_content(picture):
    red, copy = picture("red.png", "red"), picture("copy.png", "red")
    report = check_dataset(
        dataset(
            Example("red", red, ("A",), "train"),
            Example("red", picture("other.png", "blue"), ("A",), "val"),
            Example("again", red, ("A",), "test"),
            Example("copy", copy, ("A",), "val"),
            Example("same split", picture("third.png", "red"), ("A",), "train"),
        )
    )
    assert report.in_two_splits == [
        ("red", "in val, and has the same id as red in train"),
        ("again", "in test, and is the same file as red in train"),
        ("copy", "in val, and has the same content as red in train"),
    ]


def test_a_missing_file_in_two_splits_is_both(tmp_path):
    gone = Photograph(tmp_path / "gone.png")
    report = check_dataset(
        dataset(Example("a", gone, ("A",), "train"), Example("b", gone, ("A",), "val"))
    )
    assert len(report.missing) == 2
    assert report.in_two_splits == [("b", "in val, and is the same file as a in train")]


def test_drawn_pictures_are_compared_by_their_pixels():
    report = check_dataset(
        dataset(
            Example("1", Drawn("red"), ("A",), "train"),
            Example("2", Drawn("blue"), ("A",), "val"),
            Example("3", Drawn("red"), ("A",), "test"),
        )
    )
    assert [problem.name for problem in report.in_two_splits] == ["3"]


def test_the_report_for_people_is_short_and_the_one_for_programs_whole(tmp_path):
    gone = [
        Example(f"{number}", Photograph(tmp_path / f"{number}.png"), ("A",), "train")
        for number in range(50)
    ]
    report = check_dataset(dataset(*gone, notes=("coped with something",)))
    assert "note: coped with something" in report.lines()
    assert "missing images: 50" in report.lines()
    assert "  and 30 more" in report.lines()
    assert sum(line.startswith("  ") for line in report.lines(most=None)) == 50
    whole = json.loads(json.dumps(report.to_dict()))
    assert len(whole["missing_images"]) == 50
    assert whole["missing_images"][7]["name"] == "7"
    assert whole["ok"] is False
    assert whole["captions_per_image"] == {
        "count": 50,
        "total": 50,
        "smallest": 1,
        "largest": 1,
        "mean": 1.0,
    }


def test_progress_tells_how_many_were_looked_at():
    told: list[int] = []
    examples = [Example(colour, Drawn(colour), ("A",), "train") for colour in ("red", "blue")]
    check_dataset(dataset(*examples), progress=told.append)
    assert told == [1, 2]


def test_an_empty_data_set_is_checked_too():
    report = check_dataset(dataset())
    assert report.ok
    assert "captions per image: none" in report.lines()


def test_a_spread_is_what_the_numbers_say():
    numbers = [3, 1, 4, 1, 5]
    spread = Spread()
    for number in numbers:
        spread.add(number)
    assert (spread.smallest, spread.largest) == (min(numbers), max(numbers))
    assert math.isclose(spread.mean, sum(numbers) / len(numbers))


def test_captions_without_spaces_between_words_are_noted_and_no_fault():
    chinese = "一只黑色的狗在奔跑"
    report = check_dataset(dataset(Example("1", Drawn("red"), (chinese,), "train")))
    assert report.ok
    [note] = [line for line in report.lines() if line.startswith("note: ")]
    assert note.startswith("note: 100% of the captions' letters are written without spaces")
    assert "words.tokenizer=characters" in report.to_dict()["notes"][0]
