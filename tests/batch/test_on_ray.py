"""Captioning on a Ray of this machine: the same captions as without, every image once."""

import json
from collections import Counter
from pathlib import Path

import pytest

from cutline.batch import caption_dataset
from support.shards import CUT, jpeg, rows_of, write_jpegs, write_parquet, write_tar
from support.terminal import cutline

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason="pip install 'cutline[ray]'")


@pytest.fixture(scope="module", autouse=True)
def ray_here():
    """One Ray with two CPUs for all tests of this file; runs use it, because it is there."""
    import ray

    with pytest.MonkeyPatch.context() as during:
        during.setenv("RAY_worker_niceness", "0")
        store = 100 << 20
        ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=store)
        yield
        ray.shutdown()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def caption(model, *words):
    return cutline("caption", *words, "--ray", "--model", model)


def test_a_mixture_of_inputs_gives_every_image_once_and_the_captions_of_a_plain_run(here, tiny):
    write_jpegs(here / "p", 7)
    (here / "p" / "bad.jpg").write_bytes(CUT)
    write_parquet(
        here / "q.parquet", [{"bytes": jpeg(n), "path": f"{n}.jpg"} for n in range(5)] + [None]
    )
    write_tar(here / "t.tar", {f"{n}.jpg": jpeg(n) for n in range(4)} | {"4.jpg": CUT})
    done = caption(tiny, "p", "q.parquet", "t.tar", "--out", "o", "--shard-size", "3")
    rows = rows_of(here / "o")
    names = [*(f"p/0000{n}.jpg" for n in range(7)), "p/bad.jpg"]
    names += [*(f"q.parquet/{n}.jpg" for n in range(5)), "q.parquet/5"]
    names += [f"t.tar/{n}.jpg" for n in range(5)]
    assert Counter(row["image"] for row in rows) == Counter(names)
    failed = {row["image"]: row["reason"] for row in rows if row["reason"]}
    assert set(failed) == {"p/bad.jpg", "q.parquet/5", "t.tar/4.jpg"}
    assert all(row["reason"].startswith(row["image"]) for row in rows if row["reason"])
    assert done.returncode == 1
    assert "16 captioned" in done.stderr
    assert "3 failed" in done.stderr

    plain = cutline("caption", "p", "--model", tiny, "--format", "jsonl", "--out", "plain.jsonl")
    assert plain.returncode == 1
    same = [row for row in rows if row["image"].startswith("p/") and not row["reason"]]
    for line, row in zip(Path("plain.jsonl").read_text().splitlines(), same, strict=True):
        expected = json.loads(line)
        assert {key: row[key] for key in expected} == expected


def test_a_second_run_does_the_missing_shards_and_touches_no_other(here, tiny):
    write_jpegs(here / "p", 9)
    options = ("p", "--out", "o", "--shard-size", "2", "--format", "jsonl")
    assert caption(tiny, *options).returncode == 0
    whole = {path.name: path.read_bytes() for path in Path("o").glob("part-*")}
    assert len(whole) == 5
    lost, kept = sorted(whole)[2], sorted(whole)[3]
    Path("o", lost).unlink()
    before = Path("o", kept).stat().st_mtime_ns
    again = caption(tiny, *options, "--resume")
    assert again.returncode == 0
    assert "4 of 5 shards were done before." in again.stderr
    assert "2 captioned, 7 done before." in again.stderr
    assert {path.name: path.read_bytes() for path in Path("o").glob("part-*")} == whole
    assert Path("o", kept).stat().st_mtime_ns == before


def test_from_a_bucket_into_a_bucket(here, tiny, bucket):
    objects, server = bucket
    for n in range(5):
        objects[f"in/{n}.jpg"] = jpeg(n)
    objects["in/q.parquet"] = write_parquet(here / "q.parquet", [jpeg(5)]).read_bytes()
    objects["in/t.tar"] = write_tar(here / "t.tar", {"6.jpg": jpeg(6)}).read_bytes()
    out = f"s3://photos/out{server}"
    done = caption(tiny, f"s3://photos/in{server}", "--out", out, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    rows = [
        json.loads(line)["image"]
        for key in sorted(objects)
        if key.startswith("out/part-")
        for line in objects[key].splitlines()
    ]
    assert sorted(rows) == [
        *(f"s3://photos/in/{n}.jpg" for n in range(5)),
        "s3://photos/in/q.parquet/0",
        "s3://photos/in/t.tar/6.jpg",
    ]
    assert not any(key.endswith(".part") for key in objects)


def test_a_data_set_of_ray_keeps_its_other_columns(here, tiny):
    from ray.data import from_items

    paths = write_jpegs(here / "p", 3)
    items = [{"image": Path(path).read_bytes(), "id": n} for n, path in enumerate(paths)]
    items.append({"image": CUT, "id": 3})
    found = caption_dataset(from_items(items), model=str(tiny), workers=1).take_all()
    assert sorted(row["id"] for row in found) == [0, 1, 2, 3]
    assert [row["id"] for row in found if row["reason"]] == [3]
    by_path = from_items([{"path": path} for path in paths])
    named = caption_dataset(by_path, "path", model=str(tiny), workers=1).take_all()
    assert sorted(row["image"] for row in named) == paths


def test_an_error_of_a_worker_is_one_sentence(here, tiny, tmp_path):
    write_jpegs(here / "p", 2)
    model = tmp_path / "model"
    model.mkdir()
    for path in tiny.iterdir():
        if path.name != "step.onnx":
            (model / path.name).write_bytes(path.read_bytes())
    done = caption(model, "p", "--out", "o")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "step.onnx" in done.stderr
