"""Ray: connecting to it, and a pool of actors of Ray Data that work through a data set."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cutline.errors import CutlineError, MissingDependencyError, UsageError
from cutline.files import printable
from cutline.untrusted import shortened

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["HERE", "check_address", "check_ray", "connected", "in_a_pool", "one_sentence", "room"]

HERE = "here"  # a Ray of this run's own, unless $RAY_ADDRESS names a cluster
PATIENCE = 10.0  # seconds for a cluster to answer
STORE = 256 << 20  # bytes of the object store of a Ray of our own: no pictures go through it
_QUIET = {  # read when Ray is imported
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})")


def check_address(address: str) -> str:
    """Return an address of a Ray cluster as `ray.init` takes it, looked at without Ray.

    Raises:
        UsageError: it is none, or nobody answers there.
    """
    if address == HERE:
        address = os.environ.get("RAY_ADDRESS") or "local"
    if address in ("local", "auto"):
        return address
    found = _ADDRESS.fullmatch(address)
    allowed = (
        "give HOST:PORT of its head (such as 10.0.0.1:6379), `auto` on one of its nodes, or "
        "--ray alone for a Ray of this machine's own"
    )
    if found is None or int(found["port"]) > 65535:
        raise UsageError(f"{printable(address)} is no address of a Ray cluster; {allowed}.")
    host = found["host"].strip("[]")
    try:
        with socket.create_connection((host, int(found["port"])), timeout=PATIENCE):
            return address
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"No Ray cluster answers at {printable(address)} ({why}); {allowed}."
        ) from None


def check_ray(address: str) -> None:
    """Refuse, before any work is done, where there is no Ray, or no cluster at an address.

    Raises:
        MissingDependencyError: Ray is not installed.
        UsageError: as `check_address`.
    """
    if not all(map(find_spec, ("ray", "pyarrow", "pandas"))):
        raise MissingDependencyError("Captioning on Ray", extra="ray")
    check_address(address)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to Ray; a connection that is there already is used, and stays.

    Raises:
        UsageError: there is no cluster at this address, or it is of another version.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    import ray.data

    if ray.is_initialized():
        yield
        return
    own = check_address(address)
    more: dict[str, Any] = {"object_store_memory": STORE} if own == "local" else {}
    try:
        with _silent():
            ray.init(
                address=own,
                include_dashboard=False if own == "local" else None,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **more,
            )
    except Exception as error:  # a node that starts too slowly is a plain Exception
        raise UsageError(_not_there(own, _first_line(error))) from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def room(threads: int) -> int:
    """Return how many workers of so many threads the cluster has CPUs for; at least one."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)) // threads)


def in_a_pool(
    dataset: "Dataset",
    worker: type,
    given: dict[str, Any],
    *,
    threads: int,
    workers: int,
    batch: int,
    form: str,
) -> "Dataset":
    """Return a data set with `worker` applied to its batches by a pool of actors.

    Ray Data starts them, hands out batches as results are taken, holds back what would not fit
    into memory, and does again what was lost with a node.

    Args:
        dataset: of what is to be done.
        worker: the class of the actors, called with a batch.
        given: the arguments of its constructor.
        threads: CPUs of an actor.
        workers: actors.
        batch: rows of a batch.
        form: of a batch, `numpy` or `pyarrow`.
    """
    from ray.data import ActorPoolStrategy

    return dataset.map_batches(
        worker,
        fn_constructor_kwargs=given,
        compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
        num_cpus=threads,
        batch_size=batch,
        batch_format=form,
    )


@contextmanager
def one_sentence() -> Iterator[None]:
    """Raise what a worker raised as itself, and what Ray raises as one sentence."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        known = _cause(error)
        if known is not None:
            raise known from None
        raise UsageError(
            f"Ray stopped ({_first_line(error)}); the same command with --resume goes on."
        ) from None


def _not_there(address: str, why: str) -> str:
    if address == "local":
        return f"Ray does not start on this machine ({why}); try again when it is less busy."
    return (
        f"Ray cannot be reached at {printable(address)} ({why}); look whether `ray status` answers "
        "there, with the same versions of Ray and Python."
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Drop what Ray's core writes to standard error, past Python, while it starts."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _cause(error: BaseException) -> CutlineError | None:
    """Return the error of ours that Ray's is about."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, CutlineError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__ or seen.__context__
    return None


def _first_line(error: BaseException) -> str:
    return shortened(str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__)
