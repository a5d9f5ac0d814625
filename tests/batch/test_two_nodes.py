"""Two Ray nodes on one machine, and what is left when one of them is killed while it works."""

import os
import signal
from collections import Counter

import pytest

from cutline.batch import BatchRun, Captions
from support.shards import rows_of, write_jpegs

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason="pip install 'cutline[ray]'")

IMAGES, SIZE, STORE = 3_000, 100, 100 << 20


@pytest.fixture
def cluster(monkeypatch):
    """A head with one CPU."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=head)
    yield found
    found.shutdown()


def workers_of(node) -> list[int]:
    """The processes of our actors on a node."""
    import psutil

    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [child.pid for child in raylet.children() if "ShardWorker" in " ".join(child.cmdline())]


def test_a_node_that_is_killed_while_it_works_costs_no_picture(cluster, tiny, tmp_path):
    other = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.wait_for_nodes()
    paths = write_jpegs(tmp_path / "p", IMAGES)
    out, done, killed_after = tmp_path / "out", [], None
    with BatchRun.open([str(tmp_path / "p")], str(out), Captions(str(tiny)), size=SIZE) as run:
        assert len(run.todo) == IMAGES // SIZE == 30
        for shard in run.shards(cluster.address):
            done.append(shard.file)
            if killed_after is None and (workers := workers_of(other)):
                killed_after = len(done)
                cluster.remove_node(other, allow_graceful=False)
                for worker in workers:  # as where the machine is gone, and its processes with it
                    os.kill(worker, signal.SIGKILL)
    assert killed_after is not None
    assert killed_after < 25, "it was killed too late to matter"
    rows = rows_of(out)
    assert Counter(row["image"] for row in rows) == Counter(paths)
    assert not any(row["reason"] for row in rows)
    assert sorted(path.name for path in out.glob("part-*")) == sorted(run.files) == sorted(done)
