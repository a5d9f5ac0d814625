"""Seven captioners, several seeds: what is done is kept, what failed is named, the table right."""

import fcntl
import json
from importlib import import_module

import pytest

from cutline.errors import UsageError

TINY = ("data.scenes.train=24", "data.scenes.val=6", "training.epochs=1", "search.beam=2")


@pytest.fixture
def bench(tool):
    return tool("experiments.captioners")


@pytest.fixture
def table(bench):
    return import_module("experiments.side_by_side")


@pytest.fixture
def records(bench):
    return import_module("experiments.records")


class Desk:
    """Stands for training and evaluation; remembers what was asked."""

    def __init__(self, monkeypatch) -> None:
        self.trained: list[tuple[str, int]] = []
        self.judged: list[tuple[str, int]] = []
        self.broken: tuple[str, int] | None = None
        runs = import_module("experiments.runs")
        monkeypatch.setattr(runs, "train", self.train)
        monkeypatch.setattr(runs, "_judged", self.judge)

    def train(self, plan):
        if (plan.decoder, plan.seed) == self.broken:
            raise UsageError("training ended with exit code 1: no more memory")
        self.trained.append((plan.decoder, plan.seed))
        return 60.0

    def judge(self, plan):
        self.judged.append((plan.decoder, plan.seed))
        scores = {"truth": plan.seed / 10, "CIDEr": 1.0, "BLEU-4": 0.5}
        if plan.decoder != "rnn":
            scores |= {"pointing": 0.9, "pointing (chance)": 0.1}
        return {
            "decoder": plan.decoder,
            "seed": plan.seed,
            "scores": scores,
            "signature": "BLEU|images:5",
            "images": 5,
            "images_asked": plan.images,
            "parameters": 1234567,
            "best_epoch": plan.seed,
            "machine": "a laptop",
        }


@pytest.fixture
def desk(monkeypatch, bench):
    return Desk(monkeypatch)


def run(bench, out, *words):
    return bench.main([*TINY, "--out", str(out), "--decoders", "rnn,soft", *words])


def test_each_captioner_runs_with_each_seed_and_never_again(bench, desk, tmp_path, capsys):
    assert run(bench, tmp_path, "--seeds", "1,2", "--jobs", "2") == 0
    assert sorted(desk.trained) == [("rnn", 1), ("rnn", 2), ("soft", 1), ("soft", 2)]
    assert "[4/4]" in capsys.readouterr().out
    assert run(bench, tmp_path, "--seeds", "2,3") == 0
    assert sorted(desk.trained)[-1] == ("soft", 3)
    assert len(desk.trained) == len(desk.judged) == 6
    assert "rnn, seed 2: truth 0.200, CIDEr 1.000" in (said := capsys.readouterr().out)
    assert said.count("(done before)") == 2


def test_a_run_that_was_stopped_before_its_scores_is_not_trained_again(bench, desk, tmp_path):
    run(bench, tmp_path, "--seeds", "1")
    path = tmp_path / "soft-1.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({key: kept[key] for key in ("digest", "jobs", "seconds")}))
    run(bench, tmp_path, "--seeds", "1")
    assert (len(desk.trained), len(desk.judged)) == (2, 3)
    assert json.loads(path.read_text()) == kept


def test_fewer_images_are_scored_anew_but_not_trained_anew(bench, desk, tmp_path):
    run(bench, tmp_path, "--seeds", "1")
    run(bench, tmp_path, "--seeds", "1", "--images", "3")
    assert (len(desk.trained), len(desk.judged)) == (2, 4)


def test_a_run_that_fails_is_named_and_the_others_are_done(bench, desk, tmp_path, capsys):
    desk.broken = ("rnn", 1)
    assert run(bench, tmp_path, "--seeds", "1,2") == 1
    assert "rnn, seed 1: training ended with exit code 1: no mor" in capsys.readouterr().out
    assert len(desk.trained) == 3
    desk.broken = None
    assert run(bench, tmp_path, "--seeds", "1,2") == 0
    assert len(desk.trained) == 4


def test_runs_of_another_recipe_are_not_mixed(bench, desk, tmp_path, capsys):
    run(bench, tmp_path, "--seeds", "1")
    assert run(bench, tmp_path, "training.epochs=2", "--seeds", "1") == 1
    assert "rnn-1.json is of another recipe; give another --out" in capsys.readouterr().out


def test_figures_of_a_changed_recipe_stay_out_of_the_page(bench, desk, table, records, tmp_path):
    before = table.PAGE.read_bytes(), table.RESULTS.read_bytes()
    run(bench, tmp_path, "--seeds", "1")
    assert (table.PAGE.read_bytes(), table.RESULTS.read_bytes()) == before
    runs = records.read_records(table.Run, tmp_path / "captioners.json")
    assert [run.decoder for run in runs] == ["rnn", "soft"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--decoders", "rnnn"], "There is no decoder 'rnnn'; did you mean 'rnn'?"),
        (["training.epoch=2"], "did you mean 'epochs'"),
    ],
)
def test_a_mistyped_word_is_told_before_anything_is_trained(
    words, sentence, bench, desk, tmp_path, capsys
):
    assert bench.main([*words, "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err
    assert not desk.trained
    assert not (tmp_path / "out").exists()


def test_a_run_that_another_process_trains_is_left_alone(bench, tmp_path):
    plan = bench.Plan(bench.SCENES, "rnn", 1, tmp_path)
    with plan.beside(".log").open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="is being trained by another process; wait for it"):
            import_module("experiments.runs").train(plan)


# --- the table


def one(table, decoder, seed, truth, **changes):
    facts = {
        "decoder": decoder,
        "seed": seed,
        "scores": {"truth": truth, "CIDEr": 1.0, "BLEU-4": 0.5},
        "signature": "BLEU|images:500",
        "images": 500,
        "parameters": 1234567,
        "best_epoch": 4,
        "seconds": 90.0,
        "jobs": 2,
        "machine": "a laptop",
        "digest": "new",
    }
    return table.Run(**{**facts, **changes})


def test_the_table_has_means_and_the_smallest_and_largest(table):
    runs = [one(table, "nic", seed, truth) for seed, truth in ((1, 0.1), (2, 0.2), (3, 0.6))]
    text = table.table([*runs, one(table, "rnn", 1, 0.5, seconds=None)])
    assert "| `nic`<br>1,234,567 | **0.300**<br>0.100–0.600 | - | **1.000**<br>1.000–1." in text
    assert "| 1.5<br>epoch 4, 4, 4 |" in text
    fewer = "| `rnn` (1 of 3 seeds)<br>1,234,567 | 0.500 | - | 1.000 | 0.500 | -<br>epoch 4 |"
    assert fewer in text
    assert text.index("`rnn`") < text.index("`nic`")
    assert "seeds 1, 2, 3" in text
    assert "Not measured yet" in table.table([])


def test_new_runs_replace_old_ones_and_those_of_changed_recipes_go(table, records):
    old = [one(table, "nic", 1, 0.1), one(table, "rnn", 1, 0.1, digest="old")]
    new = [one(table, "nic", 1, 0.9), one(table, "nic", 2, 0.8)]
    merged = records.merge(old, new, {"nic": "new", "rnn": "new"})
    assert [(run.decoder, run.seed, run.scores["truth"]) for run in merged] == [
        ("nic", 1, 0.9),
        ("nic", 2, 0.8),
    ]


def test_runs_come_back_from_their_file(table, records, tmp_path):
    runs = [one(table, "nic", 1, 0.1), one(table, "soft", 1, 0.1)]
    records.write_records(tmp_path / "x" / "runs.json", reversed(runs))
    assert records.read_records(table.Run, tmp_path / "x" / "runs.json") == runs
    assert records.read_records(table.Run, tmp_path / "none.json") == []


def test_only_what_stands_between_the_marks_is_written(table, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    for _ in range(2):
        table.write_page([one(table, "nic", 1, 0.25)], page)
        text = page.read_text()
        assert text.startswith(f"before\n{table.BEGIN}\n\n| parameters | truth")
        assert text.endswith(f"\n\n{table.END}\nafter\n")
        assert "old" not in text
        assert text.count("0.250") == 1


def test_the_changes_of_comments_make_no_other_recipe(bench, tmp_path, monkeypatch):
    path = tmp_path / "rnn.yaml"
    monkeypatch.setattr("experiments.runs.find_recipe", lambda _: path)
    digests = []
    for text in ("# a\nseed: 1\n", "# b\nseed: 1  # c\n", "seed: 2\n"):
        path.write_text(text)
        digests.append(bench.Plan(bench.SCENES, "rnn", 1, tmp_path).digest)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_two_captioners_are_trained_scored_and_gone_on_with(bench, tmp_path, capsys):
    words = [*TINY, "--out", str(tmp_path), "--decoders", "nic,dot", "--seeds", "1"]
    words += ["--images", "4"]
    assert bench.main(words) == 0
    kept = json.loads((tmp_path / "dot-1.json").read_text())
    assert kept["images"] == 4
    assert kept["seconds"] > 0
    # so young it may name nothing that it could have pointed at
    assert {"truth", "CIDEr", "BLEU-4"} <= set(kept["scores"])
    (tmp_path / "dot-1.json").unlink()  # as if it had been killed at its end
    assert bench.main(words) == 0
    again = json.loads((tmp_path / "dot-1.json").read_text())
    assert again == {**kept, "seconds": None}
    assert "best epoch 1, resumed" in capsys.readouterr().out
