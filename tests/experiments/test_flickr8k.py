"""The table of Flickr8k: rows kept and merged, means and intervals right, kinds counted."""

from importlib import import_module
from pathlib import Path

import pytest

from cutline.config import read_recipe


@pytest.fixture
def bench(tool):
    return tool("experiments.flickr8k.__main__")


@pytest.fixture
def table(bench):
    return import_module("experiments.flickr8k.table")


@pytest.fixture
def records(bench):
    return import_module("experiments.records")


def row(table, decoder: str, seed: int, cider: float, **changes):
    scores = {"CIDEr": cider, "BLEU-4": cider / 2}
    intervals = {name: [value - 0.03, value + 0.05] for name, value in scores.items()}
    facts = {
        "decoder": decoder,
        "seed": seed,
        "scores": {"greedy": scores, "beam": scores},
        "intervals": {"greedy": intervals, "beam": intervals},
        "signatures": {"greedy": "CIDEr|search:greedy", "beam": "CIDEr|search:beam-5"},
        "speed": {"greedy": 200.0, "beam": 80.0},
        "images": 1000,
        "parameters": 2_500_000,
        "best_epoch": 7,
        "seconds": 300.0,
        "jobs": 2,
        "machine": "a laptop",
        "digest": "new",
    }
    return table.Row(**{**facts, **changes})


def test_the_table_has_means_spreads_and_intervals(table):
    rows = [row(table, "nic", seed, cider) for seed, cider in ((1, 0.30), (2, 0.32), (3, 0.37))]
    text = table.table([*rows, row(table, "soft", 1, 0.5, seconds=None)])
    assert "| **0.330**<br>0.300–0.370<br>±0.040 | 80 |" in text
    assert "| `soft` (1 of 3 seeds) |" in text
    assert "`nic` 2.50 million, 5 minutes (best epoch 7, 7, 7)" in text
    assert "`soft` 2.50 million (best epoch 7)" in text
    assert text.count("search:beam-5`") == 1
    assert "Not measured yet" in table.table([])


def test_later_rows_replace_earlier_ones_and_those_of_changed_recipes_go(table, records, tmp_path):
    path = tmp_path / "rows.json"
    old = [row(table, "soft", 1, 0.1), row(table, "rnn", 1, 0.1, digest="old")]
    new = [row(table, "soft", 1, 0.4), row(table, "nic", 2, 0.3)]
    digests = dict.fromkeys(("soft", "rnn", "nic"), "new")
    records.write_records(path, records.merge(old, new, digests))
    kept = records.read_records(table.Row, path)
    assert [(one.decoder, one.seed, one.scores["beam"]["CIDEr"]) for one in kept] == [
        ("nic", 2, 0.3),
        ("soft", 1, 0.4),
    ]
    assert records.read_records(table.Row, tmp_path / "none.json") == []


def test_the_page_is_written_between_its_marks_and_the_plot_is_drawn(table, tmp_path):
    page, plot = tmp_path / "results.md", tmp_path / "images" / "plot.png"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write_page([row(table, "nic", 1, 0.3), row(table, "soft", 1, 0.5)], page, plot)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert plot.stat().st_size > 5000


def test_the_table_of_the_page_is_what_the_runs_gave(table, records, tmp_path):
    page = tmp_path / "results.md"
    page.write_text(table.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    table.write_page(records.read_records(table.Row, table.RESULTS), page, tmp_path / "plot.png")
    assert page.read_text(encoding="utf-8") == table.PAGE.read_text(encoding="utf-8")


def test_every_captioner_has_the_same_sizes_and_budget(bench):
    from experiments.runs import Plan, decoders

    seen = set()
    for name in decoders():
        plan = Plan(bench.FLICKR8K, name, 1, Path())
        recipe = read_recipe(plan.recipe, plan.words)
        decoder = recipe.decoder
        sizes = (decoder.head, decoder.embedding, decoder.hidden, decoder.dropout)
        seen.add((sizes, recipe.training.model_dump_json(), recipe.encoder.model_dump_json()))
    assert len(seen) == 1


def test_data_must_be_named(bench, tmp_path, capsys):
    assert bench.main(["--out", str(tmp_path / "out")]) == 2
    assert "--data PATH" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- kinds


def test_kinds_of_pictures_and_words_are_counted(bench):
    from cutline.captioner import Caption
    from cutline.evaluation import Evaluation
    from cutline.metrics import score

    kinds = import_module("experiments.flickr8k.kinds")
    references = {
        "1": ("a brown dog runs", "the dog is brown", "an animal"),
        "2": ("a man on snow", "two men ski", "people in the snow"),
    }
    said = {"1": "a black dog runs", "2": "three men ski"}
    captions = {
        image: Caption(text, tuple(text.split()), (), 0.0, 0.5, True)
        for image, text in said.items()
    }
    found = Evaluation(captions, references, score(said, references, metrics=["CIDEr"]))
    pictures = {kind: many for kind, many, _ in kinds.by_pictures(found)}
    assert pictures == {"dogs": 1, "snow": 1, "men": 1}
    words = {kind: (many, share) for kind, many, share in kinds.by_words(found)}
    assert words["colours"] == (1, 0.0)
    assert words["numbers"] == (1, 0.0)
    assert words["dogs"] == (1, 1.0)
    assert words["men and boys"] == (1, 1.0)
    report = kinds.report(found, {"3": ("A black dog runs .",)})
    assert "50% are word for word a caption of training" in report
