"""Inputs of a run on Ray: found, divided into shards, and read, without Ray."""

import os
from pathlib import Path

import pytest

from cutline.batch.inputs import find_inputs, kind_of
from cutline.batch.pictures import pictures_of
from cutline.batch.rows import encoded, failed
from cutline.batch.shards import Shard, digest, plan, shard_size
from cutline.batch.storage import Folder, Storage, ahead
from cutline.errors import DataError, UsageError
from support.shards import CUT, jpeg, write_jpegs, write_parquet, write_tar

pytest.importorskip("pyarrow", reason="pip install 'cutline[ray]'")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*paths, out="out", **options):
    return find_inputs([str(path) for path in paths], out=out, **options)


def read(shards: list[Shard]) -> list[tuple[str, bool]]:
    """The names of all pictures, and whether each can be read."""
    return [(one.name, one.source is not None) for shard in shards for one in pictures_of(shard)]


# --- found -----------------------------------------------------------------------------------


def test_a_folder_gives_its_pictures_parquet_files_and_tars_but_for_what_is_written(here):
    write_jpegs(here / "p", 3)
    write_parquet(here / "p" / "a" / "b.parquet", [jpeg(1)])
    write_tar(here / "p" / "c.tar", {"1.jpg": jpeg(1)})
    write_parquet(here / "p" / "out" / "part-0.parquet", [jpeg(1)])
    write_parquet(here / "p" / ".hidden" / "d.parquet", [jpeg(1)])
    inputs = found("p", out="p/out")
    assert inputs.images == {"": ["p/00000.jpg", "p/00001.jpg", "p/00002.jpg"]}
    assert [one.path for one in inputs.containers] == ["p/c.tar", "p/a/b.parquet"]
    assert inputs.problems == []


@pytest.mark.parametrize("given", [["p/*"], ["p/c.tar", "p/1.jpg"], ["p", "p/c.tar", "p/1.jpg"]])
def test_files_and_globs_give_the_same_and_each_once(here, given):
    write_tar(here / "p" / "c.tar", {"1.jpg": jpeg(1)})
    (here / "p" / "1.jpg").write_bytes(jpeg(1))
    inputs = found(*given)
    assert (inputs.images, len(inputs.containers)) == ({"": ["p/1.jpg"]}, 1)


def test_what_is_left_out_is_left_out_of_both(here):
    write_jpegs(here / "p", 2)
    write_tar(here / "p" / "c.tar", {"1.jpg": jpeg(1)})
    write_tar(here / "p" / "d.tar", {"1.jpg": jpeg(1)})
    inputs = found("p", exclude=["c.*", "00001*"])
    assert inputs.images == {"": ["p/00000.jpg"]}
    assert [one.path for one in inputs.containers] == ["p/d.tar"]


def test_a_folder_of_parquet_alone_is_no_problem_and_an_empty_one_is(here):
    write_parquet(here / "p" / "a.parquet", [jpeg(1)])
    (here / "q").mkdir()
    assert found("p").problems == []
    assert "holds no pictures" in found("p", "q").problems[0]


def test_kinds_are_known_by_their_names_in_any_case():
    assert [kind_of(name) for name in ("A.PARQUET", "b.Tar", "c.tgz", "d.tar.gz", "e.gz")] == [
        "parquet",
        "tar",
        "tar",
        "tar",
        None,
    ]


def test_an_address_gives_what_is_below_it_without_hidden_and_written_files(bucket):
    objects, server = bucket
    for key in (
        "in/a b.jpg",
        "in/x/c.jpg",
        "in/d.tar",
        "in/.e.jpg",
        "in/out/part.parquet",
        "g.jpg",
    ):
        objects[key] = jpeg(1)
    inputs = found(f"s3://photos/in/{server}", out=f"s3://photos/in/out{server}")
    assert list(inputs.images.values()) == [["photos/in/a b.jpg", "photos/in/x/c.jpg"]]
    assert [one.path for one in inputs.containers] == ["photos/in/d.tar"]
    globbed = found(f"s3://photos/*/*.jpg{server}")
    assert list(globbed.images.values()) == [["photos/in/a b.jpg"]]
    single = found(f"s3://photos/g.jpg{server}")
    assert list(single.images.values()) == [["photos/g.jpg"]]


def test_a_file_below_two_addresses_comes_once(bucket):
    objects, server = bucket
    objects["in/a.jpg"] = jpeg(1)
    inputs = found(f"s3://photos/in/{server}", f"s3://photos/in/a.jpg{server}")
    assert list(inputs.images.values()) == [["photos/in/a.jpg"]]
    assert inputs.problems == []
    with pytest.raises(UsageError, match="--exclude is for files of this machine"):
        found(f"s3://photos/in/{server}", exclude=["a*"])


def test_a_pipe_called_a_tar_is_not_waited_for(here):
    os.mkfifo("p.tar")
    inputs = found("p.tar", "*.tar")
    assert (inputs.images, inputs.containers) == ({"": ["p.tar"]}, [])
    assert found(here).containers == []


def test_an_address_that_gives_nothing_is_named_without_its_keys(bucket):
    _, server = bucket
    (sentence,) = found(f"s3://me:secret@photos/in{server}").problems
    assert "s3://photos/in holds no pictures" in sentence
    assert "secret" not in sentence
    (sentence,) = found("nosuch://a/b").problems
    assert "nosuch://a cannot be opened" in sentence


# --- divided ---------------------------------------------------------------------------------


def test_every_picture_is_in_one_shard_whatever_the_size(here):
    paths = write_jpegs(here / "p", 25)
    for size in (1, 7, 25, 100):
        shards, _ = plan(found("p"), size=size)
        assert [path for shard in shards for path in shard.paths] == [
            os.path.relpath(path) for path in paths
        ]
        assert {len(shard.paths) for shard in shards[:-1]} <= {size}


def test_parquet_is_divided_at_its_row_groups(here):
    write_parquet(here / "a.parquet", [jpeg(n) for n in range(35)], group=10)
    shards, problems = plan(found("a.parquet"), size=15)
    assert [(shard.groups, shard.start, shard.rows) for shard in shards] == [
        ((0, 2), 0, 20),
        ((2, 4), 20, 15),
    ]
    assert problems == []
    assert read(shards) == [(f"a.parquet/{n}", True) for n in range(35)]


def test_a_plan_depends_on_nothing_but_pictures_and_size(here):
    write_jpegs(here / "p", 9)
    one, _ = plan(found("p"), size=4)
    again, _ = plan(found("p", "p/00003.jpg"), size=4)
    assert digest(one) == digest(again)
    write_jpegs(here / "p", 10)
    assert digest(plan(found("p"), size=4)[0]) != digest(one)
    assert digest(plan(found("p"), size=3)[0]) != digest(one)


def test_a_shard_survives_being_text_with_names_of_any_bytes():
    shard = Shard("files", "", "/f", ("a\udcff\n.jpg", "b.jpg"), rows=2)
    assert Shard.from_json(shard.to_json()) == shard
    assert shard.to_json().isascii()


def test_the_default_size_grows_with_the_pictures_within_limits():
    assert [shard_size(n) for n in (0, 1, 25_600, 25_601, 10**7)] == [100, 100, 100, 101, 10_000]


# --- read ------------------------------------------------------------------------------------

LAYOUTS = {
    "bytes": jpeg,
    "datasets": lambda n: {"bytes": jpeg(n), "path": f"{n}.jpg"},
    "datasets without bytes": lambda n: {"bytes": None, "path": f"p/{n:05d}.jpg"},
    "paths": lambda n: f"p/{n:05d}.jpg",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parquet_may_hold_bytes_paths_or_both(here, layout):
    write_jpegs(here / "p", 3)
    write_parquet(here / "a.parquet", [LAYOUTS[layout](n) for n in range(3)])
    shards, problems = plan(found("a.parquet"))
    names = {
        "bytes": [f"a.parquet/{n}" for n in range(3)],
        "datasets": [f"a.parquet/{n}.jpg" for n in range(3)],
    }.get(layout, [f"p/{n:05d}.jpg" for n in range(3)])
    assert problems == []
    assert read(shards) == [(name, True) for name in names]


def test_a_row_without_a_picture_is_a_picture_with_a_reason(here):
    write_parquet(here / "a.parquet", [jpeg(0), None, jpeg(2)])
    assert read(plan(found("a.parquet"))[0]) == [
        ("a.parquet/0", True),
        ("a.parquet/1", False),
        ("a.parquet/2", True),
    ]


def test_columns_of_pictures_are_found_or_asked_for(here):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"left": [b"1"], "right": [b"2"], "n": [1]}), "two.parquet")
    pq.write_table(pa.table({"n": [1], "text": ["a"]}), "none.parquet")
    Path("no.parquet").write_bytes(b"PAR1 nothing")
    _, problems = plan(found("two.parquet", "none.parquet", "no.parquet"))
    assert [next(said for said in SAID if said in one) for one in problems] == SAID
    assert plan(found("two.parquet"), column="right")[1] == []
    assert "give one of bytes" in plan(found("two.parquet"), column="n")[1][0]
    assert "did you mean 'left'" in plan(found("two.parquet"), column="lefd")[1][0]


SAID = ["several columns of pictures (left, right)", "no column of pictures", "is no Parquet file"]


def test_a_damaged_parquet_file_has_a_row_for_each_picture_all_the_same(here):
    path = write_parquet(here / "a.parquet", [os.urandom(3000) for _ in range(30)], group=10)
    shards, _ = plan(found("a.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    names = [name for name, _ in read(shards)]
    assert names == [f"a.parquet/{n}" for n in range(30)]


def test_a_tar_gives_its_pictures_and_nothing_else(here):
    members = {"a/1.jpg": jpeg(1), "a/1.txt": b"a dog", "2.PNG": b"", "x.json": b"{}"}
    for name in ("t.tar", "t.tar.gz", "t.tgz"):
        write_tar(here / name, members)
        shards, _ = plan(found(name))
        assert read(shards) == [(f"{name}/a/1.jpg", True), (f"{name}/2.PNG", True)]
        assert shards[0].rows is None


def test_a_cut_tar_says_so_after_the_pictures_that_it_has(here):
    path = write_tar(here / "t.tar", {f"{n}.jpg": jpeg(n) for n in range(4)})
    path.write_bytes(path.read_bytes()[:2500])
    *whole, last = [one for shard in plan(found("t.tar"))[0] for one in pictures_of(shard)]
    assert [one.name for one in whole] == ["t.tar/0.jpg"]
    assert "t.tar is damaged or cut short after 1 pictures" in last.reason


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "is no tar"), (CUT, "is no tar"), (None, "holds no pictures")]
)
def test_what_is_no_tar_of_pictures_says_so(here, data, said):
    path = write_tar(here / "t.tar", {"a.txt": b"a"})
    if data is not None:
        path.write_bytes(data)
    (only,) = [one for shard in plan(found("t.tar"))[0] for one in pictures_of(shard)]
    assert only.source is None
    assert said in only.reason


def test_a_row_of_a_failure_has_the_name_whatever_its_bytes():
    import io

    import pyarrow.parquet as pq

    row = failed("a\udcff\n.jpg", "a\udcff is no picture.")
    assert encoded([row], "jsonl") == (
        b'{"image": "a\\\\udcff\\n.jpg", "reason": "a\\\\udcff is no picture."}\n'.replace(
            b"\\\\", b"\\"
        )
    )
    (stored,) = pq.read_table(io.BytesIO(encoded([row], "parquet"))).to_pylist()
    assert stored["image"] == "a\\udcff\\n.jpg"
    assert stored["caption"] is None


# --- storage ---------------------------------------------------------------------------------


def test_a_folder_at_an_address_is_written_whole_read_and_listed(bucket):
    objects, server = bucket
    folder = Folder(f"s3://photos/out{server}")
    assert folder.names() == set()
    folder.write("a.json", b"1")
    folder.write("a.json", b"22")
    assert folder.read("a.json") == b"22"
    objects["out/.0123456789abcdef.part"] = b"half"
    assert folder.cleared() == {"a.json"}
    assert folder.names() == {"a.json"}


def test_a_local_folder_does_the_same(here):
    folder = Folder("out")
    assert folder.names() == set()
    folder.write("a.json", b"22")
    Path("out", ".0123456789abcdef.part").write_bytes(b"half")
    Path("out", ".mine").write_bytes(b"x")
    assert folder.read("a.json") == b"22"
    assert folder.cleared() == {"a.json", ".mine"} == folder.names()
    with pytest.raises(UsageError, match=r"out/a\.json is a file"):
        Folder("out/a.json").names()


def test_a_file_that_is_not_there_is_one_sentence(bucket):
    _, server = bucket
    with pytest.raises(DataError, match=r"^s3://photos/no\.jpg cannot be read \(.*\)\.$"):
        Storage(f"s3://photos/x{server}").read("photos/no.jpg")
    with pytest.raises(DataError, match=r"^/no/such cannot be read"):
        Storage().read("/no/such")


def test_work_ahead_keeps_the_order_and_raises_what_fails():
    assert list(ahead(lambda n: n * n, range(20), count=3)) == [(n, n * n) for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda n: 1 // n, [1, 0, 2], count=2))
