"""`tools/dist.py` names what is missing from an archive, and what does not belong in it."""

import pytest


@pytest.fixture
def dist(tool):
    return tool("dist")


@pytest.fixture
def whole(dist) -> dict[str, int]:
    return dict.fromkeys(dist.NEEDED, 1000)


def test_an_archive_with_all_that_is_needed_has_no_faults(dist, whole):
    assert dist.faults(whole) == []


def test_each_missing_file_is_named(dist, whole):
    for name in dist.NEEDED:
        left = {other: size for other, size in whole.items() if other != name}
        assert dist.faults(left) == [f"{name} is missing"]


@pytest.mark.parametrize("name", ["runs/a/last.ckpt", "cutline/__pycache__/x.pyc", "shared/a.jpg"])
def test_what_does_not_belong_in_it_is_named(dist, whole, name):
    assert dist.faults({**whole, name: 1}) == [f"{name} does not belong in it"]


def test_a_file_that_is_too_large_is_named(dist, whole):
    assert dist.faults({**whole, "a.bin": 40_000_000}) == ["a.bin has 40,000,000 bytes"]


def test_a_folder_without_both_archives_is_refused(dist, tmp_path, capsys):
    assert dist.main(tmp_path) == 2
    assert "make dist" in capsys.readouterr().out
