"""The GIF shows the picture, then a frame for each word, again and again."""

import numpy as np
import pytest
from PIL import Image

from cutline.explain import explain_gif
from cutline.explain.animation import draw_frames


@pytest.mark.parametrize("count", [0, 1, 12])
def test_there_is_a_frame_per_word_and_one_for_the_picture(count, say, photo, tmp_path):
    explain_gif(photo, say("dog " * count), tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.n_frames == count + 1
        assert gif.info["loop"] == 0


def test_each_word_lasts_seven_tenths_of_a_second(say, photo, tmp_path):
    explain_gif(photo, say("a brown dog"), tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as gif:
        durations = []
        for frame in range(gif.n_frames):
            gif.seek(frame)
            durations.append(gif.info["duration"])
    assert durations == [1400, 700, 700, 700]


@pytest.mark.parametrize("size", [(1000, 200), (200, 1000), (64, 64)], ids=str)
def test_frames_are_at_most_480_wide(size, say):
    frames = draw_frames(Image.new("RGB", size), say("dog " * 20 + "x" * 100))
    assert max(frame.width for frame in frames) <= 480
    assert len({frame.size for frame in frames}) == 1


def test_the_word_being_said_is_marked(say, photo):
    marked = []
    for frame in draw_frames(photo, say("a brown dog")):
        yellow = np.all(np.asarray(frame)[-70:] == (255, 214, 102), axis=-1)
        marked.append(np.nonzero(yellow)[1].mean() if yellow.any() else None)
    assert marked[0] is None
    assert marked[1] < marked[2] < marked[3]


def test_without_attention_the_picture_stays_as_it_is(say, photo):
    first, *rest = draw_frames(photo, say("a dog", attends=False))
    picture = np.asarray(first)[12 : 12 + 200]
    assert len(rest) == 2
    assert all(np.array_equal(np.asarray(frame)[12 : 12 + 200], picture) for frame in rest)
