"""Shards are read as files are: same images, captions and splits; no fault passes unsaid."""

import json
import pickle
import random
import tarfile

import numpy as np
import pytest

from cutline.data.cache import _identity
from cutline.data.check import check_dataset
from cutline.data.packing import pack
from cutline.data.readers import open_dataset
from cutline.data.readers.assemble import hold_out
from cutline.errors import DataError, ImageError, MissingDependencyError, UsageError
from support.sharded import picture, scene_files, write_tar


def facts(dataset, split):
    return [(one.image_id, one.captions, one.split) for one in dataset.split(split)]


def notes(path):
    return "\n".join(open_dataset(path).notes)


# --- packed and read again ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_packed_shards_hold_the_images_captions_splits_and_pictures_of_the_files(kind, tmp_path):
    files = open_dataset(scene_files(tmp_path / "files", train=5, val=3))
    out = tmp_path / "out"
    pack(files, out, kind=kind, per_shard=2)
    names = [f"train-0000{n}.{kind}" for n in range(3)] + [f"val-0000{n}.{kind}" for n in range(2)]
    assert sorted(path.name for path in out.iterdir()) == ["pack.json", *names]
    for given in (out, f"{out}/*.{kind}"):
        shards = open_dataset(given)
        for split in ("train", "val"):
            assert facts(shards, split) == facts(files, split)
        for ours, theirs in zip(shards.split("train"), files.split("train"), strict=True):
            assert ours.picture.open().tobytes() == theirs.picture.open().tobytes()
    again = pack(shards, tmp_path / "again", kind=kind, per_shard=2)  # shards of shards
    assert (again.written, again.images, again.left_out) == (5, 8, [])
    first = next(out.glob("train-00000*"))
    assert (tmp_path / "again" / first.name).read_bytes() == first.read_bytes()


def test_packing_goes_on_where_it_was_cut_off_and_overwrites_nothing(tmp_path):
    files, out = open_dataset(scene_files(tmp_path / "files", train=5, val=1)), tmp_path / "out"
    pack(files, out, kind="tar", per_shard=2)
    first, second = out / "train-00000.tar", out / "train-00001.tar"
    before = second.read_bytes()
    second.unlink()
    first.write_bytes(b"kept")
    packed = pack(files, out, kind="tar", per_shard=2)
    assert (packed.written, packed.before, packed.images) == (1, 3, 2)
    assert (first.read_bytes(), second.read_bytes()) == (b"kept", before)
    with pytest.raises(UsageError, match=r"its per_shard differ.*give a new folder"):
        pack(files, out, kind="tar", per_shard=3)
    with pytest.raises(UsageError, match="files is not empty, and holds no shards"):
        pack(files, tmp_path / "files", kind="tar", per_shard=2)


def test_packing_leaves_out_and_names_what_cannot_be_read(tmp_path):
    files = scene_files(tmp_path / "files", train=3, val=1)
    dataset = open_dataset(files)
    (files / "images" / "1.png").unlink()
    packed = pack(dataset, tmp_path / "out", kind="tar", per_shard=9)
    assert packed.images == 3
    assert [name for name, _ in packed.left_out] == ["1.png"]


# --- tars ----------------------------------------------------------------------------------------


def test_a_tar_pairs_members_by_their_key(tmp_path):
    write_tar(
        tmp_path / "a.tar",
        {
            "d/1.jpg": picture(),
            "d/1.txt": "A dog .\nIt runs .",
            "2.json": json.dumps({"caption": "a cat", "image_id": "cat.png", "split": "val"}),
            "2.PNG": picture(),
            "3.png": picture(),
            "3.cls": "7",
            "4.txt": "of no picture",
            "5.seg.png": picture("blue"),
            "5.jpg": picture(),
            "5.txt": "two pictures",
            "6.png": picture(),
            "6.txt": "perhaps: a cow",
        },
    )
    found = {one.image_id: one for one in open_dataset(tmp_path / "a.tar").examples}
    assert {name: one.captions for name, one in found.items()} == {
        "d/1.jpg": ("A dog .", "It runs ."),
        "cat.png": ("a cat",),
        "5.seg.png": ("two pictures",),
    }
    assert found["cat.png"].split == "val"
    said = notes(tmp_path / "a.tar")
    assert "without captions: 3.png" in said
    assert "of captions without a picture: 4.txt" in said
    assert "beside another picture of the same key: 5.jpg" in said
    assert "unsure of ('perhaps: '): 6.png" in said


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_no_link_or_device_of_a_tar_is_followed(kind, tmp_path):
    link = tarfile.TarInfo("1.jpg")
    link.type, link.linkname = kind, "/etc/passwd"
    members = {"1.jpg": link, "1.txt": "stolen", "2.png": picture(), "2.txt": "sound"}
    write_tar(tmp_path / "a.tar", members)
    dataset = open_dataset(tmp_path / "a.tar")
    assert [one.image_id for one in dataset.examples] == ["2.png"]
    assert "that are no plain files, such as links: 1.jpg" in notes(tmp_path / "a.tar")


def test_a_pickled_member_is_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    harm = pickle.dumps(Bomb())
    members = {"1.png": picture(), "1.pyd": harm, "1.txt": "a dog", "2.png": picture()}
    write_tar(tmp_path / "a.tar", {**members, "2.pickle": harm})
    assert [one.image_id for one in open_dataset(tmp_path / "a.tar").examples] == ["1.png"]
    assert "Python objects, which are never unpickled: 1.pyd, 2.pickle" in notes(tmp_path / "a.tar")


def test_a_size_that_a_header_claims_is_compared_before_it_is_believed(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"1.png": picture(), "1.txt": "a dog"})
    info = tarfile.TarInfo("2.png")
    for size in (200_000_000, 8**11 - 1):
        info.size = size
        whole = path.read_bytes()[:2048] + info.tobuf(tarfile.GNU_FORMAT)
        (tmp_path / f"{size}.tar").write_bytes(whole)
        dataset = open_dataset(tmp_path / f"{size}.tar")
        assert [one.image_id for one in dataset.examples] == ["1.png"]
        assert "its last member is not whole" in dataset.damaged[0][1]
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
        info.type, info.size = kind, 8**11 - 1
        (tmp_path / "long.tar").write_bytes(path.read_bytes()[:2048] + info.tobuf())
        assert "claims an absurd size" in open_dataset(tmp_path / "long.tar").damaged[0][1]


def test_a_shard_cut_anywhere_is_named_and_the_rest_is_read(tmp_path):
    members = {}
    for number in range(4):
        members |= {f"{number}.png": picture(), f"{number}.txt": f"scene {number}"}
    whole = write_tar(tmp_path / "whole.tar", members).read_bytes()[: 4 * 2048 + 1024]
    write_tar(tmp_path / "b.tar", {"other.png": picture(), "other.txt": "sound"})
    (tmp_path / "whole.tar").unlink()
    for cut in (0, 100, 600, 2048, 3000, 4096, 7000, 4 * 2048):
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        dataset = open_dataset(tmp_path)
        names = [one.image_id for one in dataset.examples]
        assert names == [*(f"{n}.png" for n in range(4) if (n + 1) * 2048 <= cut), "other.png"]
        for example in dataset.examples:
            assert example.picture.open().size == (8, 6)
        report = check_dataset(dataset)
        assert not report.ok
        assert [problem.name for problem in report.damaged] == ["a"]
        assert "damaged shards: 1" in report.lines()


def test_random_damage_of_a_tar_ends_in_a_report_or_a_sentence(tmp_path):
    members = {}
    for number in range(3):
        members |= {f"{number}.png": picture(), f"{number}.json": '{"caption": "a scene"}'}
    whole = write_tar(tmp_path / "a.tar", members).read_bytes()
    dice, refused = random.Random(0), []
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 30)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        (tmp_path / "a.tar").write_bytes(broken)
        try:
            check_dataset(open_dataset(tmp_path / "a.tar"))
        except DataError as error:
            refused.append(str(error))
    assert all("give shards with members" in one for one in refused)
    assert len(refused) < 60


def test_a_compressed_tar_is_answered_with_what_to_type(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"1.png": picture(), "1.txt": "a dog"})
    path.rename(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match=r"compressed tar.*gunzip a.tar.gz"):
        open_dataset(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match="is not a data set"):
        open_dataset(tmp_path)


# --- splits, names, order of shards --------------------------------------------------------------


def one(name, caption="a dog"):
    return {f"{name}.png": picture(), f"{name}.txt": caption}


def test_splits_come_from_the_names_or_the_folders_of_shards(tmp_path):
    for name in ("coco-train2017-10", "coco-train2017-2", "coco-dev-0"):
        write_tar(tmp_path / "names" / f"{name}.tar", one(name.replace("-", "_")))
    names = open_dataset(tmp_path / "names")
    assert [e.image_id for e in names.split("train")] == [
        "coco_train2017_2.png",
        "coco_train2017_10.png",
    ]
    assert len(names.split("val")) == 1
    for folder in ("train", "validation", "test"):
        write_tar(tmp_path / "folders" / folder / "0.tar", one(folder))
    folders = open_dataset(tmp_path / "folders")
    assert [len(folders.split(name)) for name in ("train", "val", "test")] == [1, 1, 1]
    with pytest.raises(UsageError, match="has no split 'vall'; did you mean 'val'"):
        folders.split("vall")


@pytest.mark.parametrize("names", ["0 1 2", "train-0 train-1 train-2", "train-0 val-1 other-2"])
def test_without_splits_images_are_held_out_by_name_as_files_are(names, tmp_path):
    for shard, name in enumerate(names.split()):
        members = {}
        for number in range(20):
            members |= one(f"{shard}_{number}")
        write_tar(tmp_path / f"{name}.tar", members)
    dataset = open_dataset(tmp_path)
    expected = hold_out([f"{shard}_{n}.png" for shard in range(3) for n in range(20)])
    assert {e.image_id: e.split for e in dataset.examples} == expected
    assert "no split is given for 60 images" in dataset.notes[-1]
    assert ("other-2.tar names none" in dataset.notes[0]) == ("other" in names)


def test_a_name_in_several_shards_is_named_and_made_unique(tmp_path):
    write_tar(tmp_path / "train-0.tar", {**one("a"), **one("b")})
    write_tar(tmp_path / "val-0.tar", one("a", "a cat"))
    dataset = open_dataset(tmp_path)
    assert {e.image_id: e.captions for e in dataset.examples} == {
        "train-0/a.png": ("a dog",),
        "b.png": ("a dog",),
        "val-0/a.png": ("a cat",),
    }
    assert "1 name in several shards, the first in train-0 and val-0" in dataset.notes[-1]
    assert "a.png" in dataset.notes[-1]


def test_a_name_twice_in_one_shard_is_one_image_with_all_captions(tmp_path):
    members = {**one("a"), **one("b")}
    members["sub/a.png"], members["sub/a.json"] = (
        picture(),
        json.dumps({"captions": ["again"], "image_id": "a.png"}),
    )
    write_tar(tmp_path / "a.tar", members)
    dataset = open_dataset(tmp_path / "a.tar")
    found = {e.image_id: e.captions for e in dataset.examples}
    assert found == {"a.png": ("a dog", "again"), "b.png": ("a dog",)}
    assert "of an earlier one of the same name: a.png" in notes(tmp_path / "a.tar")


# --- the index -----------------------------------------------------------------------------------


def test_the_index_is_made_once_and_anew_when_a_shard_changes(tmp_path):
    cache = str(tmp_path / "cache")
    shard = write_tar(tmp_path / "data" / "a.tar", {**one("a"), **one("b")})
    before = open_dataset(tmp_path / "data", cache=cache)
    (whole,) = (tmp_path / "cache" / "shards").glob("*.sqlite")
    stamp = whole.stat().st_mtime_ns
    open_dataset(tmp_path / "data", cache=cache)
    assert whole.stat().st_mtime_ns == stamp
    assert not list((tmp_path / "cache" / "shards").glob("*.part"))
    write_tar(shard, {**one("c"), **one("d"), **one("e")})
    assert len(open_dataset(tmp_path / "data", cache=cache).examples) == 3
    with pytest.raises(ImageError, match="has changed since it was indexed; start again"):
        before.examples[0].picture.open()


def test_an_index_that_was_cut_off_goes_on_and_a_broken_draft_is_begun_anew(tmp_path, monkeypatch):
    from cutline.data.readers.shards import tar

    cache = tmp_path / "cache"
    for number in range(3):
        write_tar(tmp_path / "data" / f"{number}.tar", one(str(number)))
    real, seen = tar.samples, []

    def killed(path, found):
        seen.append(path.name)
        if path.name == "1.tar" and seen.count("1.tar") == 1:
            raise KeyboardInterrupt
        return real(path, found)

    killed.__module__ = real.__module__
    monkeypatch.setattr(tar, "samples", killed)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(tmp_path / "data", cache=str(cache))
    assert len(open_dataset(tmp_path / "data", cache=str(cache)).examples) == 3
    assert seen == ["0.tar", "1.tar", "1.tar", "2.tar"]
    (whole,) = (cache / "shards").glob("*.sqlite")
    whole.unlink()
    whole.with_suffix(".part").write_bytes(b"no database" * 100)
    assert len(open_dataset(tmp_path / "data", cache=str(cache)).examples) == 3


def test_examples_are_a_sequence_that_survives_pickling_and_slicing(tmp_path):
    write_tar(tmp_path / "a.tar", {k: v for n in range(9) for k, v in one(f"{n}").items()})
    examples = open_dataset(tmp_path / "a.tar").examples
    copy = pickle.loads(pickle.dumps(examples))
    assert list(copy) == [examples[row] for row in range(9)]
    assert list(examples[2:5]) == list(examples)[2:5]
    assert list(examples.take(np.array([1, 7]))) == [examples[1], examples[7]]
    assert examples[-1] == examples[8]
    assert _identity(examples[0].picture) != _identity(examples[1].picture)


# --- Parquet -------------------------------------------------------------------------------------


def write_parquet(path, rows, **options):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.Table.from_pylist(rows), path, **options)
    return path


@pytest.mark.parametrize(
    "rows",
    [
        [{"image": {"bytes": picture(), "path": "1.png"}, "caption": ["a dog", "it runs"]}],
        [{"jpg": picture(), "text": text, "key": "1.png"} for text in ("a dog", "it runs")],
        [{"File Name": "1.png", "captions": ["a dog", "it runs"], "other": 3}],
    ],
    ids=["Hugging Face", "bytes and a row a caption", "paths"],
)
def test_columns_of_parquet_are_found_by_name_and_type_and_said(rows, tmp_path):
    (tmp_path / "1.png").write_bytes(picture())
    dataset = open_dataset(write_parquet(tmp_path / "a.parquet", rows))
    (example,) = dataset.examples
    assert (example.image_id, example.captions) == ("1.png", ("a dog", "it runs"))
    assert example.picture.open().size == (8, 6)
    assert dataset.notes[0].startswith("columns: pictures '")


def test_a_split_column_is_the_split_and_another_value_is_left_out(tmp_path):
    rows = [
        {"image": picture(), "caption": "a dog", "split": split, "image_id": number}
        for number, split in enumerate(["train", "dev", "test", "extra"])
    ]
    dataset = open_dataset(write_parquet(tmp_path / "a.parquet", rows))
    found = {e.image_id: e.split for e in dataset.examples}
    assert found == {"0": "train", "1": "val", "2": "test"}
    assert "of a split that is not train, val or test: 3" in "\n".join(dataset.notes)


@pytest.mark.parametrize("rows", [[{"image": b"", "n": 1}], [{"caption": "a", "n": 1}]])
def test_parquet_without_pictures_or_captions_is_answered_with_its_columns(rows, tmp_path):
    path = write_parquet(tmp_path / "a.parquet", rows)
    with pytest.raises(DataError, match=r"has no column of (pictures|captions).*it has .*n .int64"):
        open_dataset(path)


def test_damaged_parquet_is_named_and_the_rest_is_read(tmp_path):
    rows = [{"image": picture(), "caption": "a dog", "image_id": str(n)} for n in range(6)]
    write_parquet(tmp_path / "b.parquet", rows, row_group_size=2)
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    dataset = open_dataset(tmp_path)
    assert len(dataset.examples) == 6
    assert "a.parquet is no Parquet file, or damaged" in dataset.damaged[0][1]
    empty = [{"image": None, "caption": "a"}, {"image": picture(), "caption": "b"}]
    shard = write_parquet(tmp_path / "c.parquet", empty)
    with pytest.raises(ImageError, match="is empty: there is no picture"):
        open_dataset(shard).examples[0].picture.open()


def test_parquet_without_pyarrow_is_answered_with_the_pip_line(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "a.parquet", [{"image": picture(), "caption": "a dog"}])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'cutline\[parquet\]'"):
        open_dataset(path)
