"""The page that puts the captioners side by side: drawn, sized and typed as the code has it."""

import re
import shlex
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cutline.config import find_recipe, read_recipe
from cutline.data.readers import open_dataset
from cutline.decoders import decoder_names
from cutline.encoders import build_encoder
from cutline.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "captioners.md").read_text(encoding="utf-8")
TYPED = re.findall(r"^cutline train (.*)$", PAGE, re.MULTILINE)


def labels(svg: str) -> list[str]:
    """What is written in a drawing; matplotlib keeps it beside the outlines of its letters."""
    return re.findall(r"<!-- (.*?) -->", svg)


def test_every_decoder_is_drawn(tool):
    assert sorted(tool("drawings").DRAWINGS) == decoder_names()


@pytest.mark.parametrize("name", decoder_names())
def test_the_drawing_of_a_decoder_is_current_and_small(name, tool):
    kept = (ROOT / "docs" / "images" / f"captioner_{name}.svg").read_text(encoding="utf-8")
    drawn = tool("drawings").DRAWINGS[name]().svg()
    assert labels(kept) == labels(drawn), "run `python tools/drawings.py`"
    assert name in labels(drawn)
    assert len(kept.encode()) < 60_000


@pytest.mark.parametrize("name", decoder_names())
def test_nothing_written_in_a_drawing_runs_into_another_text_or_out_of_it(name, tool):
    canvas = tool("drawings").DRAWINGS[name]()
    FigureCanvasAgg(canvas.figure)  # measures text without drawing it
    boxes = [text.get_window_extent() for text in canvas.axes.texts]
    sheet = canvas.figure.bbox
    assert all(sheet.x0 < box.x0 and box.x1 < sheet.x1 for box in boxes)
    assert all(sheet.y0 < box.y0 and box.y1 < sheet.y1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("name", decoder_names())
def test_every_decoder_has_a_section_with_its_drawing_equations_and_recipe(name):
    section = re.search(rf"^## {name}\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)[1]
    assert f"(images/captioner_{name}.svg)" in section
    assert f"<!-- equations: {name};" in section
    assert f"cutline train scenes/{name}" in section
    assert re.search(r"Needs\sthe\s\*\*(grid|pooled)\*\*", section)


@pytest.mark.parametrize("line", TYPED)
def test_what_the_page_says_to_type_is_a_recipe_with_such_fields(line):
    name, *rest = shlex.split(line)
    read_recipe(find_recipe(name), [word for word in rest if "=" in word])


def test_every_recipe_that_the_page_names_is_there():
    names = set(re.findall(r"`((?:scenes|flickr8k|flickr30k|coco)/[\w-]+)`", PAGE))
    assert len(names) > 10
    for name in names:
        find_recipe(name)


def test_every_field_that_the_page_names_is_there():
    fields = set(re.findall(r"`((?:decoder|training)\.[a-z_.]+)", PAGE))
    known = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert len(fields) > 10
    assert not [field for field in fields if not re.search(rf"^\| `{field}\b", known, re.MULTILINE)]


def test_the_sizes_are_of_the_encoder_that_the_recipes_name(tool):
    encoder = read_recipe(find_recipe("flickr8k/soft"), ["encoder.weights=random"]).encoder
    assert build_encoder(encoder).feature_size == tool("captioner_parts").FEATURES


def test_the_sizes_are_of_the_vocabulary_that_flickr8k_has(tool, shared):
    examples = open_dataset(shared / "flickr8k").split("train")
    data = read_recipe(find_recipe("flickr8k/soft")).data
    captions = [c for e in examples for c in e.captions[: data.captions_per_image]]
    vocabulary = Vocabulary.build(captions, min_frequency=data.min_frequency)
    assert len(vocabulary) == tool("captioner_parts").VOCABULARY


def test_the_table_is_what_the_runs_gave(tool, tmp_path):
    side_by_side = tool("experiments.side_by_side")
    page = tmp_path / "captioners.md"
    page.write_text(PAGE, encoding="utf-8")
    records = tool("experiments.records")
    runs = records.read_records(side_by_side.Run, side_by_side.RESULTS)
    side_by_side.write_page(runs, page)
    assert page.read_text(encoding="utf-8") == PAGE
