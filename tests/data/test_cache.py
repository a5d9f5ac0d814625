"""The feature cache: what is computed, how often, and what a kill leaves behind."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier, Thread
from time import sleep

import numpy as np
import pytest
from PIL import Image

from cutline.data.cache import BATCH, FeatureTable, cache_folder, cached_features
from cutline.data.examples import Photograph
from cutline.errors import ImageError

SHAPE = (3, 2)


@dataclass(frozen=True)
class Spot:
    """A picture that is its number."""

    number: int
    readable: bool = True

    @property
    def name(self) -> str:
        return f"spot {self.number}"

    def open(self) -> Image.Image:
        if not self.readable:
            raise ImageError(f"{self.name} is blank")
        return Image.new("RGB", (2, 2), (self.number % 256, self.number // 256, 0))


class Encoder:
    """Features that say which picture they are of; counts, and breaks on request."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.batches: list[int] = []
        self.breaks_at = breaks_at

    def __call__(self, squares: np.ndarray) -> np.ndarray:
        if len(self.batches) == self.breaks_at:
            raise KeyboardInterrupt
        self.batches.append(len(squares))
        numbers = squares[:, 0, 0, 0] + 256.0 * squares[:, 0, 0, 1]
        return numbers[:, None, None] + np.array([[0, 0.25], [0.5, 0], [0, 0.75]], np.float32)


def expected(numbers: range) -> np.ndarray:
    return np.stack([n + np.array([[0, 0.25], [0.5, 0], [0, 0.75]]) for n in numbers])


def compute(folder: Path, pictures, encode: Encoder, *, key=None, progress=None) -> FeatureTable:
    return cached_features(
        pictures,
        folder=folder,
        key=key or {"weights": "abc", "size": [2, 2]},
        shape=SHAPE,
        square=lambda picture: np.array(picture.open()),
        encode=encode,
        progress=progress or (lambda _: None),
    )


def spots(count: int) -> list[Spot]:
    return [Spot(number) for number in range(count)]


def homes(folder: Path) -> list[Path]:
    return sorted((folder / "features").iterdir())


def held(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if path.name != "lock")


# --- once


def test_features_are_those_of_the_encoder_in_half_precision(tmp_path):
    table = compute(tmp_path, spots(70), Encoder())
    assert table.features.dtype == np.float16
    assert table.features.shape == (70, *SHAPE)
    assert (table.features == expected(range(70)).astype(np.float16)).all()
    assert table.failed == {}


def test_features_are_computed_once(tmp_path):
    first, second = Encoder(), Encoder()
    before = compute(tmp_path, spots(70), first)
    after = compute(tmp_path, spots(70), second)
    assert sum(first.batches) == 70
    assert second.batches == []
    assert (before.features == after.features).all()
    assert isinstance(after.features, np.memmap)


def test_progress_adds_up_to_all_pictures(tmp_path):
    for _ in range(2):
        steps: list[int] = []
        compute(tmp_path, spots(70), Encoder(), progress=steps.append)
        assert sum(steps) == 70


@pytest.mark.parametrize("count", [1, BATCH, BATCH + 1])
def test_the_last_batch_may_be_short(tmp_path, count):
    encode = Encoder()
    table = compute(tmp_path, spots(count), encode)
    assert sum(encode.batches) == count
    assert (table.features == expected(range(count))).all()


# --- killed on the way


@pytest.mark.parametrize("breaks_at", [0, 3, 8, 13, 17])
def test_a_killed_run_goes_on_where_its_progress_was_written(tmp_path, breaks_at):
    pictures = spots(20 * BATCH)
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, pictures, Encoder(breaks_at))
    rest, steps = Encoder(), []
    table = compute(tmp_path, pictures, rest, progress=steps.append)
    written = breaks_at // 8 * 8  # progress is written every eight batches
    assert len(rest.batches) == 20 - written
    assert sum(steps) == len(pictures)
    assert (table.features == expected(range(len(pictures))).astype(np.float16)).all()


def test_a_run_may_be_killed_again_and_again(tmp_path):
    pictures = spots(20 * BATCH)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, pictures, Encoder(breaks_at=9))
    rest = Encoder()
    table = compute(tmp_path, pictures, rest)
    assert len(rest.batches) == 20 - 16
    assert (table.features == expected(range(len(pictures))).astype(np.float16)).all()


def test_a_killed_run_remembers_what_it_could_not_read(tmp_path):
    pictures = spots(10 * BATCH)
    pictures[5] = replace(pictures[5], readable=False)
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, pictures, Encoder(breaks_at=8))
    assert compute(tmp_path, pictures, Encoder()).failed == {5: "spot 5 is blank"}


def test_the_index_is_written_last(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, spots(20 * BATCH), Encoder(breaks_at=9))
    [home] = homes(tmp_path)
    assert held(home) == ["features.npy", "progress.json"]
    assert json.loads((home / "progress.json").read_text())["rows"] == 8 * BATCH
    compute(tmp_path, spots(20 * BATCH), Encoder())
    assert held(home) == ["features.npy", "index.json"]


def test_progress_without_its_table_starts_over(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, spots(9 * BATCH), Encoder(breaks_at=8))
    (homes(tmp_path)[0] / "features.npy").unlink()
    encode = Encoder()
    table = compute(tmp_path, spots(9 * BATCH), encode)
    assert len(encode.batches) == 9
    assert (table.features == expected(range(9 * BATCH)).astype(np.float16)).all()


def test_an_index_without_its_table_starts_over(tmp_path):
    compute(tmp_path, spots(3), Encoder())
    (homes(tmp_path)[0] / "features.npy").unlink()
    encode = Encoder()
    assert (compute(tmp_path, spots(3), encode).features == expected(range(3))).all()
    assert encode.batches == [3]


def test_an_index_without_its_table_is_not_believed_after_a_kill(tmp_path):
    compute(tmp_path, spots(2 * BATCH), Encoder())
    (homes(tmp_path)[0] / "features.npy").unlink()
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, spots(2 * BATCH), Encoder(breaks_at=1))
    table = compute(tmp_path, spots(2 * BATCH), Encoder())
    assert (table.features == expected(range(2 * BATCH)).astype(np.float16)).all()


@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_a_byte_that_has_changed_is_found_and_the_features_are_made_again(tmp_path, at):
    pictures = spots(3 * BATCH + 1)
    compute(tmp_path, pictures, Encoder())
    change_a_byte(homes(tmp_path)[0] / "features.npy", at)
    encode = Encoder()
    table = compute(tmp_path, pictures, encode)
    assert encode.batches
    assert (table.features == expected(range(len(pictures))).astype(np.float16)).all()


def test_a_byte_that_has_changed_after_a_kill_is_found(tmp_path):
    pictures = spots(20 * BATCH)
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, pictures, Encoder(breaks_at=9))
    change_a_byte(homes(tmp_path)[0] / "features.npy", 0.3)
    encode = Encoder()
    table = compute(tmp_path, pictures, encode)
    assert len(encode.batches) == 20
    assert (table.features == expected(range(len(pictures))).astype(np.float16)).all()


def test_a_cache_of_a_version_without_checksums_is_read(tmp_path):
    compute(tmp_path, spots(3), Encoder())
    path = homes(tmp_path)[0] / "index.json"
    index = json.loads(path.read_text())
    del index["checksums"]
    path.write_text(json.dumps(index))
    encode = Encoder()
    assert (compute(tmp_path, spots(3), encode).features == expected(range(3))).all()
    assert not encode.batches


def change_a_byte(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    header = 128  # bytes, of which some are padding
    content[header + int(at * (len(content) - header))] ^= 0x40
    path.write_bytes(content)


# --- side by side


def test_runs_that_start_together_share_the_work(tmp_path):
    pictures, counted, tables = spots(20 * BATCH), [Encoder() for _ in range(3)], []
    steps: list[list[int]] = [[], [], []]
    together = Barrier(3)

    def run(number: int) -> None:
        together.wait()
        encode, told = counted[number], steps[number]
        tables.append(compute(tmp_path, pictures, encode, progress=told.append))

    threads = [Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(len(encode.batches) for encode in counted) == [0, 0, 20]
    assert [sum(told) for told in steps] == [len(pictures)] * 3
    for table in tables:
        assert (table.features == expected(range(len(pictures))).astype(np.float16)).all()


def test_a_run_that_waits_goes_on_where_a_killed_one_stopped(tmp_path):
    pictures, waiting = spots(20 * BATCH), Encoder()
    found: list[FeatureTable] = []
    other = Thread(target=lambda: found.append(compute(tmp_path, pictures, waiting)))

    def started(rows: int) -> None:
        if rows and not other.ident:
            other.start()
            sleep(0.1)  # it stands at the door

    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, pictures, Encoder(breaks_at=9), progress=started)
    other.join(timeout=60)
    assert len(waiting.batches) == 20 - 8
    assert (found[0].features == expected(range(len(pictures))).astype(np.float16)).all()


def test_who_waits_sees_how_far_the_other_is(tmp_path):
    pictures, steps = spots(20 * BATCH), []
    table: list[FeatureTable] = []

    def late() -> None:
        table.append(compute(tmp_path, pictures, Encoder(), progress=steps.append))

    other = Thread(target=late)

    def slowly(_: int) -> None:
        if not other.ident:
            other.start()
        elif not steps and (homes(tmp_path)[0] / "progress.json").exists():
            sleep(1.5)  # it looks every second

    compute(tmp_path, pictures, Encoder(), progress=slowly)
    other.join(timeout=60)
    assert steps[0] == 8 * BATCH
    assert sum(steps) == len(pictures)
    assert (table[0].features == expected(range(len(pictures))).astype(np.float16)).all()


def test_a_whole_cache_is_read_without_writing(tmp_path):
    compute(tmp_path, spots(3), Encoder())
    [home] = homes(tmp_path)
    (home / "lock").unlink(missing_ok=True)
    compute(tmp_path, spots(3), Encoder())
    assert not (home / "lock").exists()


# --- what makes another cache


def test_other_weights_make_another_cache(tmp_path):
    for key in ({"weights": "abc"}, {"weights": "abd"}):
        encode = Encoder()
        compute(tmp_path, spots(3), encode, key=key)
        assert encode.batches == [3]
    assert len(homes(tmp_path)) == 2


def test_the_order_of_the_key_does_not_matter(tmp_path):
    compute(tmp_path, spots(3), Encoder(), key={"a": 1, "b": (2, 3)})
    encode = Encoder()
    compute(tmp_path, spots(3), encode, key={"b": [2, 3], "a": 1})
    assert encode.batches == []


def test_other_pictures_or_another_order_make_another_cache(tmp_path):
    for pictures in (spots(3), spots(4), spots(3)[::-1]):
        encode = Encoder()
        compute(tmp_path, pictures, encode)
        assert sum(encode.batches) == len(pictures)


def test_a_photograph_that_changes_makes_another_cache(tmp_path):
    path = tmp_path / "a.png"

    def computed() -> int:
        encode = Encoder()
        compute(tmp_path, [Photograph(path)], encode)
        return len(encode.batches)

    Image.new("RGB", (2, 2), RED := (9, 0, 0)).save(path)
    assert [computed(), computed()] == [1, 0]
    Image.new("RGB", (2, 2), (8, 0, 0)).save(path)  # the same size in bytes, perhaps
    os.utime(path, ns=(1, 1))
    assert [computed(), computed()] == [1, 0]
    Image.new("RGB", (40, 2), RED).save(path)
    os.utime(path, ns=(1, 1))  # the same date
    assert computed() == 1


# --- pictures that cannot be read


def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_done(tmp_path):
    pictures = spots(40)
    for row in (0, 7, 39):
        pictures[row] = replace(pictures[row], readable=False)
    for _ in range(2):  # computed, then from the cache
        table = compute(tmp_path, pictures, Encoder())
        assert table.failed == {row: f"spot {row} is blank" for row in (0, 7, 39)}
        good = [row for row in range(40) if row not in table.failed]
        assert (table.features[good] == expected(range(40))[good]).all()


def test_a_whole_batch_may_be_unreadable(tmp_path):
    encode = Encoder()
    pictures = [Spot(number, readable=number >= BATCH) for number in range(BATCH + 2)]
    table = compute(tmp_path, pictures, encode)
    assert encode.batches == [2]
    assert list(table.failed) == list(range(BATCH))


def test_a_photograph_that_is_gone_is_a_failed_row(tmp_path):
    Image.new("RGB", (2, 2), (9, 0, 0)).save(tmp_path / "here.png")
    pictures = [Photograph(tmp_path / "here.png"), Photograph(tmp_path / "gone.png")]
    table = compute(tmp_path, pictures, Encoder())
    assert list(table.failed) == [1]
    assert "gone.png" in table.failed[1]


# --- where


def test_caches_live_where_one_says_or_in_the_users_cache_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("CUTLINE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/me/.cache/cutline")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/cutline")
    monkeypatch.setenv("CUTLINE_CACHE", "/mine")
    assert cache_folder() == Path("/mine")
    assert cache_folder("~/here") == Path("/home/me/here")
