"""Plans of runs, and everything about `--ray` that needs no Ray."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cutline.batch import BatchRun, Captions
from cutline.batch.engine import check_address
from cutline.cli.on_ray import _with_value
from cutline.errors import UsageError
from support.shards import CUT, write_jpegs
from support.terminal import cutline

pytest.importorskip("pyarrow", reason="pip install 'cutline[ray]'")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jpegs(tmp_path / "p", 5)
    return tmp_path


def planned(out="out", *, model="flickr8k-small", form="parquet", **options):
    with BatchRun.open(["p"], out, Captions(model), form=form, **options) as run:
        return run


def test_a_plan_writes_nothing_but_what_the_next_one_is_compared_with(here):
    run = planned(size=2)
    assert list(run.files) == run.todo
    assert run.todo == [f"part-00000{n}-of-000003.parquet" for n in range(3)]
    assert [path.name for path in Path("out").iterdir()] == ["_cutline.json"]


def test_a_run_that_goes_on_has_left_what_is_not_there(here):
    run = planned(size=2)
    Path("out", run.todo[1]).write_bytes(b"a shard")
    again = planned(resume=True)
    assert again.todo == [run.todo[0], run.todo[2]]
    assert again.files == run.files


def test_a_folder_that_is_there_is_not_written_to_unless_asked(here):
    planned()
    with pytest.raises(UsageError, match="out exists and is not overwritten; add --resume"):
        planned()
    Path("other").mkdir()
    planned("other")
    Path("mine").mkdir()
    Path("mine", "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="mine holds no shards"):
        planned("mine", resume=True)
    Path("file").write_text("mine")
    with pytest.raises(UsageError, match="file is a file"):
        planned("file")
    assert Path("file").read_text() == Path("mine", "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 3}, "size of shards"),
        ({"form": "jsonl"}, "format"),
        ({"exclude": ["00001*"]}, "set of pictures"),
    ],
)
def test_a_run_does_not_go_on_with_shards_of_another(here, change, said):
    planned(size=2)
    before = Path("out", "_cutline.json").read_bytes()
    with pytest.raises(UsageError, match=f"begun with another {said}"):
        planned(resume=True, **change)
    assert Path("out", "_cutline.json").read_bytes() == before


def test_two_runs_do_not_write_into_one_folder(here):
    with (
        BatchRun.open(["p"], "out", Captions("flickr8k-small")),
        pytest.raises(UsageError, match="being written by another process"),
    ):
        planned(resume=True)


def test_an_optional_value_is_an_address_and_never_a_picture():
    for given, meant in {
        "--ray p": "--ray=here p",
        "p --ray": "p --ray=here",
        "--ray head:6379 p": "--ray=head:6379 p",
        "--ray auto p": "--ray=auto p",
        "--ray --out o": "--ray=here --out o",
        "--ray=10.0.0.1:1 p": "--ray=10.0.0.1:1 p",
        "p -- --ray": "p -- --ray",
        "--ray ray://h:1 p": "--ray=ray://h:1 p",
    }.items():
        assert _with_value(given.split()) == meant.split()


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:99999", "a b:1"])
def test_what_is_no_address_of_a_cluster_is_refused(address):
    with pytest.raises(UsageError, match="is no address of a Ray cluster; give HOST:PORT"):
        check_address(address)


def test_a_cluster_that_does_not_answer_is_told_soon():
    with pytest.raises(UsageError, match=r"No Ray cluster answers at 127\.0\.0\.1:1 \("):
        check_address("127.0.0.1:1")


def test_a_ray_of_ones_own_unless_the_environment_names_a_cluster(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert check_address("here") == "local"
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert check_address("here") == "auto"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--ray", "name it by --out FOLDER"),
        ("--ray --out o --sidecar txt", "--sidecar is not for --ray"),
        ("--ray --out o --force", "--force is not for --ray"),
        ("--ray --out o --format csv", "--format parquet or jsonl, no csv"),
        ("--workers 2", "--workers is for shards; add --ray"),
        ("--format parquet", "--format parquet is for shards; add --ray"),
    ],
)
def test_options_that_do_not_go_together_are_told(here, words, said):
    done = cutline("caption", "p", *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("o").exists()


def test_nothing_to_caption_is_told_and_leaves_nothing(here):
    done = cutline("caption", "nothing", "s3.jpg", "--ray", "--out", "o")
    assert done.returncode == 2
    assert "nothing does not exist" in done.stderr
    assert not Path("o").exists()


def test_a_missing_ray_is_named_with_the_line_that_installs_it(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = cutline("caption", "p", "--ray", "--out", "o")
    assert done.returncode == 2
    assert "pip install 'cutline[ray]'" in done.stderr
    assert not Path("o").exists()


def test_a_cluster_that_does_not_answer_leaves_nothing(here):
    done = cutline("caption", "p", "--ray", "127.0.0.1:1", "--out", "o")
    assert done.returncode == 2
    assert "No Ray cluster answers at 127.0.0.1:1" in done.stderr
    assert not Path("o").exists()


def test_ray_is_not_loaded_before_it_is_asked_for():
    code = "import sys; print({'ray', 'pyarrow'} & set(sys.modules))"
    code = "import cutline.cli.app, cutline.batch, " + code.removeprefix("import ")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_worker_loads_its_model_once_and_says_what_became_of_each_shard(here, monkeypatch):
    from cutline.batch import workers

    loaded = []

    def load(*given, **options):
        loaded.append(options["threads"])
        return captioner

    captioner = workers.load("flickr8k-small", threads=1)
    monkeypatch.setattr(workers, "load", load)
    Path("p", "00001.jpg").write_bytes(CUT)
    run = planned(size=1, form="jsonl")
    worker = workers.ShardWorker(run.captions, "out", "jsonl")
    done = [
        json.loads(text)
        for name in run.todo[:2]
        for text in worker({"shard": [run.files[name].to_json()], "file": [name]})["done"]
    ]
    assert loaded == [1]
    assert [(one["captioned"], len(one["reasons"])) for one in done] == [(1, 0), (0, 1)]
    first, second = (json.loads(Path("out", name).read_text()) for name in run.todo[:2])
    assert list(first)[:4] == ["image", "caption", "words", "log_probs"]
    assert first["image"] == "p/00000.jpg"
    assert list(second) == ["image", "reason"]
    assert second["reason"] == done[1]["reasons"][0]


def test_the_facts_of_a_run_are_those_that_change_its_captions(here):
    planned(size=2)
    facts = json.loads(Path("out", "_cutline.json").read_text())
    assert set(facts) == {
        "version",
        "format",
        "model",
        "precision",
        "beam",
        "strict",
        "shard_size",
        "shards",
        "pictures",
    }
