"""Watched folders: when a new picture counts as whole."""

import pytest

from cutline.cli import watching
from cutline.cli.tally import Tally
from cutline.cli.watching import PAUSE, Arrivals


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand: a list of one time, in seconds."""
    now = [1000.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: now[0])
    return now


def test_a_picture_of_a_busy_folder_is_read_once_it_is_alike_for_a_whole_pause(tmp_path, clock):
    picture = tmp_path / "a.jpg"
    arrivals = Arrivals([str(tmp_path)], [])
    picture.write_bytes(b"half")
    for _ in range(5):  # looks that follow each other at once, as after a batch
        assert arrivals.look() == []
        clock[0] += PAUSE / 25
    picture.write_bytes(b"half and half")
    assert arrivals.look() == []
    clock[0] += PAUSE * 0.9
    assert arrivals.look() == []
    clock[0] += PAUSE * 0.1 + 0.001
    assert arrivals.look() == [picture]


def test_a_picture_of_which_two_sidecars_fail_is_one_failure(capsys):
    tally = Tally()
    for kind in ("txt", "json"):
        tally.fail(f"a.{kind} exists and is not overwritten.", "a.jpg")
    tally.fail("b.txt exists and is not overwritten.", "b.jpg")
    assert str(tally) == "0 captioned, 2 failed: 2 not written."
    assert capsys.readouterr().err.count("not overwritten") == 3
