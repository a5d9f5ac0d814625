"""The page for those who come from a tutorial names what exists, and its recipe is one."""

import re
from pathlib import Path

import pytest

from cutline.config import SoftConfig, read_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
FIELD = re.compile(r"`((?:data|encoder|decoder|training|words|search)\.[a-z_]+)")

# added by issue 20 beside this page; to be deleted from here once docs/recipes.md has them
NEW = {"encoder.grid", "training.devices", "training.optimizer"}


def test_its_recipe_is_read_and_says_what_the_page_says(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "tutorial.yaml"
    path.write_text(text, encoding="utf-8")
    recipe = read_recipe(path)
    assert isinstance(recipe.decoder, SoftConfig)
    assert recipe.training.batch_size * recipe.data.captions_per_image == 30
    regions = (recipe.encoder.size // 32) ** 2  # of a ResNet
    assert recipe.decoder.penalty == pytest.approx(11.8 / regions, abs=0.005)


def test_every_field_that_it_names_is_a_field_of_recipes():
    named = set(FIELD.findall(PAGE))
    documented = set(re.findall(r"^\| `([a-z_.]+)`", RECIPES, re.MULTILINE))
    assert len(named) > 20
    assert named - documented - NEW == set()


def test_every_file_that_it_names_is_in_the_package():
    tables = re.findall(r"^### Files\n(.*?)^### ", PAGE, re.DOTALL | re.MULTILINE)
    ours = [line.split("|")[2] for table in tables for line in table.splitlines() if "|" in line]
    named = {name for cell in ours for name in re.findall(r"`([a-z_/]+\.py)`", cell)}
    assert len(tables) == 2
    assert len(named) > 8
    assert {name for name in named if not (ROOT / "src" / "cutline" / name).is_file()} == set()
