"""`cutline curves`: the figures of runs, drawn and written."""

import csv

import numpy as np
import pytest
from PIL import Image

from cutline.config import read_recipe
from cutline.errors import DataError
from cutline.explain.curves import draw_curves
from cutline.history import label_runs, read_history
from cutline.training import train
from cutline.training.checkpoints import SafeCheckpointIO
from support import tiny
from support.terminal import cutline


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    recipe = tiny.write_recipe(folder)
    with tiny.no_graphs():
        for hidden in (24, 32):
            words = [f"decoder.hidden={hidden}", f"data.cache={folder / str(hidden)}"]
            train(read_recipe(recipe, words), folder / str(hidden), say=lambda _: None)
    return [folder / "24", folder / "32"]


def test_the_history_is_that_of_the_checkpoint(runs):
    kept = SafeCheckpointIO().load_checkpoint(runs[0] / "checkpoint.safetensors")
    history = next(c["history"] for c in kept["callbacks"].values() if "history" in c)
    found = read_history(runs[0])
    assert list(found.epochs) == history
    assert [row["epoch"] for row in found.epochs] == [1, 2]
    assert {"train/cross_entropy_per_word", "val/cider_greedy"} <= set(found.epochs[0])


def test_runs_are_named_by_what_differs_and_else_by_their_folders(runs):
    both = [read_history(run) for run in runs]
    assert label_runs(both) == ["decoder.hidden=24", "decoder.hidden=32"]
    assert label_runs(both[:1]) == [str(runs[0])]
    alike = [both[0], both[0]._replace(folder=runs[1])]
    assert label_runs(alike) == [str(run) for run in runs]


def test_curves_of_both_runs_stand_in_each_panel(runs):
    rows = {str(run): read_history(run).epochs for run in runs}
    figure = draw_curves(rows)
    panels = {panel.get_title(): panel for panel in figure.axes}
    assert {"loss per word (nats)", "CIDEr"} <= set(panels)
    drawn = [line.get_ydata() for line in panels["loss per word (nats)"].lines]
    names = ("train/cross_entropy_per_word", "val/teacher_forced_cross_entropy_per_word")
    wanted = [[row[name] for row in one] for one in rows.values() for name in names]
    np.testing.assert_allclose(drawn, wanted)
    assert len(panels["CIDEr"].lines) == 2


def test_a_score_that_is_logged_has_a_panel_and_no_other():
    rows = [{"epoch": 1, "val/bleu4_greedy": 0.1}, {"epoch": 2, "val/bleu4_greedy": 0.2}]
    assert [panel.get_title() for panel in draw_curves({"a": rows}).axes] == ["BLEU-4"]
    with pytest.raises(DataError, match="no loss and no score"):
        draw_curves({"a": []})


def test_the_command_writes_a_picture_and_a_table_and_nothing_twice(runs, tmp_path):
    picture, table = tmp_path / "a" / "curves.png", tmp_path / "curves.csv"
    words = ["curves", *runs, "--out", picture, "--csv", table]
    done = cutline(*words)
    assert done.returncode == 0, done.stderr
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
        assert len(opened.convert("RGB").getcolors(1 << 24)) > 3
    rows = list(csv.DictReader(table.open()))
    assert [(row["run"], row["epoch"]) for row in rows] == [
        (f"decoder.hidden={hidden}", str(epoch)) for hidden in (24, 32) for epoch in (1, 2)
    ]
    loss = "train/loss_per_caption"
    assert float(rows[0][loss]) == read_history(runs[0]).epochs[0][loss]
    before = picture.read_bytes()
    assert cutline(*words).returncode == 2
    assert picture.read_bytes() == before
    assert cutline(*words, "--force").returncode == 0


def test_a_run_that_is_none_is_named_and_the_others_are_drawn(runs, tmp_path):
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "recipe.yaml").write_text("seed: 1")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "checkpoint.safetensors").write_bytes(b"no")
    bad = [tmp_path / "begun", tmp_path / "broken", runs[0] / "best", tmp_path / "nowhere"]
    done = cutline("curves", *bad, runs[1], "--out", tmp_path / "c.png")
    assert done.returncode == 1
    assert (tmp_path / "c.png").is_file()
    for sentence in (
        "no epoch of it is over yet",
        "keeps no figures of epochs",
        f"give {runs[0]}.",
        "it is no run",
    ):
        assert sentence in done.stderr
    done = cutline("curves", *bad, "--out", tmp_path / "d.png")
    assert done.returncode == 2
    assert not (tmp_path / "d.png").exists()


def test_another_kind_of_picture_is_refused(runs, tmp_path):
    done = cutline("curves", *runs, "--out", tmp_path / "c.pdf")
    assert done.returncode == 2
    assert "does not end in .png" in done.stderr
