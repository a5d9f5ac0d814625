"""A tiny model in a folder, a bucket, and a Ray of this machine."""

import pytest

from support.models import model
from support.s3 import s3


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a model with graphs, which captions in a millisecond or two."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    model().save(folder)
    return folder


@pytest.fixture
def bucket(monkeypatch):
    """The objects of s3://photos by key, and what its addresses end in."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    with s3() as found:
        yield found


@pytest.fixture(autouse=True)
def _as_plain_processes(monkeypatch):
    """Ray's workers give way to all other processes otherwise, which may be many."""
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
