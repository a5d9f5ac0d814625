"""The PNG has a panel for the picture and one for each word, or a bar for each, in rows."""

from itertools import pairwise

import pytest
from PIL import Image

from cutline.explain import explain_png
from cutline.explain.figure import draw_figure


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


def texts(figure):
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("count", [0, 1, 5, 6, 30])
def test_there_is_a_panel_per_word_and_one_for_the_picture(count, say, photo):
    assert len(panels(draw_figure(photo, say("dog " * count)))) == count + 1


def test_a_word_and_its_percent_stand_above_each_picture(say, photo):
    shown = texts(draw_figure(photo, say("a brown dog")))
    assert {"a brown dog", "a", "brown", "dog"} <= set(shown)
    assert shown.count("50%") == 3


def check_apart(figure):
    """Panels neither overlap nor leave the figure."""
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    assert not any(
        a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


def test_panels_do_not_overlap_and_stay_in_the_figure(say, photo):
    figure = draw_figure(photo, say("dog " * 30, sentinel=0.5))
    check_apart(figure)


def test_thirty_words_stay_legible(say, photo, tmp_path):
    explain_png(photo, say("dog " * 30), tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        assert image.width >= 1500
        assert image.height < 2500


def curves(figure):
    return [axes for axes in figure.axes if axes.lines]


def test_a_sentinel_is_a_number_under_each_word_and_a_point_of_a_curve_below(say, photo):
    figure = draw_figure(photo, say("a dog", sentinel=[0.25, 0.75]))
    assert {"memory 25%", "memory 75%"} <= set(texts(figure))
    (axes,) = curves(figure)
    (curve,) = axes.lines
    assert list(curve.get_ydata()) == [0.25, 0.75]
    assert axes.get_ylim() == (0, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "dog"]
    assert axes.get_position().y1 < min(panel.get_position().y0 for panel in panels(figure))


@pytest.mark.parametrize("text", ["a dog", ""])
def test_without_a_sentinel_or_words_there_is_no_curve(text, say, photo):
    assert not curves(draw_figure(photo, say(text, sentinel=None if text else 0.5)))


@pytest.mark.parametrize("text", ["a dog", "dog " * 30, "$x_2$ " + "x" * 80], ids=len)
def test_the_words_under_the_curve_do_not_run_into_each_other(text, say, photo):
    figure = draw_figure(photo, say(text, sentinel=0.5))
    (axes,) = curves(figure)
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    (note,) = (text for text in figure.texts if "Memory:" in text.get_text())
    assert all(note.get_window_extent().y1 < box.y0 for box in boxes)


def test_a_long_word_is_cut_before_it_runs_into_its_number(say, photo):
    figure = draw_figure(photo, say("x" * 80))
    (title,) = (text for text in figure.texts if text.get_text().endswith("…"))
    box = title.get_window_extent()
    (number,) = (text for text in figure.texts if text.get_text() == "50%")
    assert box.x1 <= number.get_window_extent().x0


def test_a_dollar_sign_is_not_mathematics(say, photo):
    assert "$x_2$" in texts(draw_figure(photo, say("$x_2$")))


def test_drawing_leaves_pyplot_alone(say, photo):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    draw_figure(photo, say("a dog"))
    assert pyplot.get_fignums() == before


# --- without attention, and several captioners ---------------------------------------------------


def bars(figure):
    return [patch.get_height() for axes in figure.axes for patch in axes.patches]


@pytest.mark.parametrize("count", [0, 1, 7, 50])
def test_a_captioner_that_does_not_attend_has_one_panel_and_a_bar_per_word(count, say, photo):
    figure = draw_figure(photo, say("dog " * count, attends=False))
    assert len(panels(figure)) == 1
    assert bars(figure) == pytest.approx([0.5] * count)
    assert any("does not attend" in text for text in texts(figure))
    assert not any("where it looked" in text for text in texts(figure))


@pytest.mark.parametrize("size", [(60, 40), (40, 160), (300, 20)], ids=str)
def test_its_note_stays_in_the_figure(size, say):
    figure = draw_figure(Image.new("RGB", size), say("dog", attends=False))
    (note,) = (text for text in figure.texts if "does not attend" in text.get_text())
    assert note.get_window_extent().x1 < figure.get_window_extent().x1


def test_captioners_stand_above_each_other_in_their_order(say, photo):
    captions = {
        "soft": say("a dog runs"),
        "nic": say("a cat", attends=False),
        "adaptive": say("two dogs", sentinel=0.5),
    }
    figure = draw_figure(photo, captions)
    heights = {text.get_text(): text.get_position()[1] for text in figure.texts}
    names = ["soft, confidence 50%", "nic, confidence 50%", "adaptive, confidence 50%"]
    said = ["a dog runs", "a cat", "two dogs"]
    order = [heights[text] for pair in zip(names, said, strict=True) for text in pair]
    assert order == sorted(order, reverse=True)
    assert len(panels(figure)) == 4 + 1 + 3


def test_parts_of_several_captioners_do_not_overlap(say, photo):
    captions = {
        "a": say("dog " * 20, sentinel=0.5),
        "b": say("x" * 40, attends=False),
        "c": say("dog " * 14),
    }
    figure = draw_figure(photo, captions)
    check_apart(figure)


def test_a_caption_of_eleven_words_is_one_row_where_captioners_are_compared(say, photo):
    figure = draw_figure(photo, {"soft": say("dog " * 11), "hard": say("dog")})
    assert len({round(axes.get_position().y0, 6) for axes in panels(figure)}) == 2
