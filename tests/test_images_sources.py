"""What a picture may be given as; anything else is answered with a sentence."""

import io

import numpy as np
import pytest

from cutline.errors import ImageError
from cutline.images import read_image
from support.pictures import SMOOTH, made

PIXELS = np.asarray(SMOOTH)


def refusal(source: object) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(source)
    return str(caught.value)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_in_any_shape_are_a_picture(wrap):
    assert read_image(wrap(made("png"))).tobytes() == SMOOTH.tobytes()


@pytest.mark.parametrize(
    "pixels", [PIXELS, np.asfortranarray(PIXELS), PIXELS[::-1][::-1], PIXELS.copy()[:, :, :]]
)
def test_an_array_of_bytes_is_a_picture(pixels):
    assert read_image(pixels).tobytes() == SMOOTH.tobytes()


def test_a_picture_made_of_an_array_does_not_share_its_memory():
    pixels = PIXELS.copy()
    image = read_image(pixels)
    pixels[:] = 0
    assert image.tobytes() == SMOOTH.tobytes()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (
            PIXELS[..., 0],
            "shape (240, 320) and type uint8; give one of shape (height, width, 3) and",
        ),
        (np.zeros((4, 5, 4), np.uint8), "type uint8: array[:, :, :3]."),
        (np.zeros((3, 40, 50), np.uint8), "type uint8: array.transpose(1, 2, 0)."),
        (np.zeros((2, 4, 5, 3), np.uint8), "for several pictures, list(arrays)."),
        (PIXELS / 255, "type float64; give one of shape (height, width, 3) and type uint8: (array"),
        (PIXELS.astype(np.int64), "type int64; give one of shape"),
        (np.zeros((0, 5, 3), np.uint8), "shape (0, 5, 3)"),
        (np.array(None), "shape () and type object"),
        (np.zeros(7, np.uint8), "shape (7,)"),
    ],
)
def test_any_other_array_is_told_what_shape_and_type_to_have(array, said):
    assert said in refusal(array)


def test_a_file_opened_as_text_is_told_how_to_be_opened(tmp_path):
    (tmp_path / "a.png").write_bytes(made("png"))
    with (tmp_path / "a.png").open(encoding="utf-8") as file:  # not even UTF-8
        said = refusal(file)
    assert "was opened as text" in said
    assert "open it with 'rb'." in said
    assert said.startswith(str(tmp_path / "a.png"))


def test_a_file_that_is_closed_or_for_writing_gets_a_sentence(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        assert "cannot be read" in refusal(file)
    assert "cannot be read" in refusal(file)


@pytest.mark.parametrize("source", [None, 3, 2.5, object(), {"a": 1}, (x for x in "ab")])
def test_what_is_no_picture_is_answered_with_what_is(source):
    assert f"is {type(source).__name__}, not bytes; give a path" in refusal(source)


def test_a_list_within_a_list_is_said_to_be_one():
    assert "is a list within a list; give one flat list of pictures." in refusal([made("png")])


def test_a_given_picture_of_wide_grey_or_with_a_profile_is_read_as_from_its_file():
    grey = SMOOTH.convert("L").convert("I")
    assert np.array_equal(np.asarray(read_image(grey))[..., 0], np.asarray(SMOOTH.convert("L")))
