"""Pictures are looked at before training: the unreadable named, the good ones remembered."""

import os

import pytest
from PIL import Image

from cutline.data import readable as module
from cutline.data.examples import Photograph
from cutline.data.readable import find_unreadable
from cutline.errors import ImageError
from cutline.images.unreadable import Unreadable, attempt, read_each


@pytest.fixture
def pictures(tmp_path):
    """Four photographs, of which 1 is cut short and 3 is not there."""
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / f"{number}.png" for number in range(4)]
    for path in paths[:3]:
        Image.new("RGB", (300, 300), "red").save(path)
    paths[1].write_bytes(paths[1].read_bytes()[:80])
    return [Photograph(path) for path in paths]


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the files that were decoded."""
    names: list[str] = []
    read = module.read_image

    def spy(path, **options):
        names.append(path.name)
        return read(path, **options)

    monkeypatch.setattr(module, "read_image", spy)
    return names


def test_what_cannot_be_read_is_found_with_the_reason(pictures, tmp_path):
    told: list[int] = []
    failed, notes = find_unreadable(pictures, folder=tmp_path / "cache", progress=told.append)
    assert list(failed) == [1, 3]
    assert "1.png is damaged or cut short" in failed[1]
    assert "3.png does not exist" in failed[3]
    assert (notes, sum(told)) == ([], 4)


def test_a_good_picture_is_decoded_again_only_when_it_has_changed(pictures, decoded, tmp_path):
    find_unreadable(pictures, folder=tmp_path / "cache")
    assert decoded == ["0.png", "1.png", "2.png", "3.png"]
    decoded.clear()
    find_unreadable(pictures, folder=tmp_path / "cache")
    assert decoded == ["1.png", "3.png"]
    decoded.clear()
    os.utime(pictures[0].path, ns=(1, 1))
    pictures[2].path.write_bytes(b"junk")
    failed, _ = find_unreadable(pictures[::2], folder=tmp_path / "cache")
    assert (decoded, list(failed)) == (["0.png", "2.png"], [1])


def test_a_picture_that_was_mended_is_no_longer_left_out(pictures, tmp_path):
    find_unreadable(pictures, folder=tmp_path / "cache")
    for number in (1, 3):
        Image.new("RGB", (9, 9)).save(pictures[number].path)
    assert find_unreadable(pictures, folder=tmp_path / "cache") == ({}, [])


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"a": 3', "\x00"])
def test_a_damaged_memory_knows_nothing(content, pictures, decoded, tmp_path):
    find_unreadable(pictures, folder=tmp_path)
    [store] = (tmp_path / "checked").iterdir()
    store.write_text(content)
    decoded.clear()
    assert list(find_unreadable(pictures, folder=tmp_path)[0]) == [1, 3]
    assert len(decoded) == 4


def test_what_cannot_be_remembered_is_said_and_no_fault(pictures, tmp_path):
    (tmp_path / "file").touch()
    failed, notes = find_unreadable(pictures, folder=tmp_path / "file")
    assert list(failed) == [1, 3]
    assert len(notes) == 1
    assert notes[0].startswith("pictures will be checked anew at the next start: ")


@pytest.mark.parametrize("fault", [ImageError("broken"), OSError(5, "broken"), MemoryError()])
def test_whatever_reading_raises_is_returned_with_the_name(fault, tmp_path):
    def read(_):
        raise fault

    found = attempt(read, Photograph(tmp_path / "a.png"), name=str(tmp_path / "a.png"))
    assert isinstance(found, Unreadable)
    assert found.name.endswith("a.png")
    assert "broken" in found.reason or "cannot be read (MemoryError)" in found.reason


def test_what_cannot_be_read_is_reported_in_its_place_and_the_rest_goes_on():
    faults: list[tuple[int, str]] = []

    def read(number: int) -> int:
        if number % 2:
            raise ImageError(f"{number} is broken.") if number == 1 else OSError(5, "gone")
        return 10 * number

    found = read_each(range(5), read, name=str, failed=lambda *fault: faults.append(fault))
    assert next(found) == (0, 0)
    assert faults == []  # nothing is read ahead
    assert list(found) == [(2, 20), (4, 40)]
    assert faults == [(1, "1 is broken."), (3, "3 cannot be read ([Errno 5] gone).")]


def test_a_mistake_of_the_program_is_no_fault_of_a_picture():
    with pytest.raises(TypeError):
        list(read_each(["a"], lambda _: 1 + "a", name=str, failed=lambda *_: None))
