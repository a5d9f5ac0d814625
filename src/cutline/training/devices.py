"""Distributed data-parallel training: one process for each device, and sums over all of them.

The images of each batch are dealt to the processes, whose gradients Lightning averages (DDP: gloo
on CPUs, NCCL on GPUs). A loss is a mean over the captions of the whole batch, so each process
weighs its part by its share of them; baselines and figures are sums over all processes.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.strategies.launchers.launcher import _Launcher as Launcher
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cutline.config import Recipe, TrainingConfig
from cutline.errors import UsageError

__all__ = [
    "Place",
    "Processes",
    "check_equal",
    "ended_together",
    "environment",
    "find_place",
    "is_first",
    "is_first_of_node",
    "strategy_of",
]

LAUNCHERS: dict[type[ClusterEnvironment], tuple[str, str]] = {
    TorchElasticEnvironment: ("torchrun", "LOCAL_WORLD_SIZE"),
    SLURMEnvironment: ("SLURM", "SLURM_NTASKS_PER_NODE"),
}
CPU = torch.device("cpu")
# of the errors of gloo and NCCL when a process has ended
LOST = ("gloo", "NCCL", "onnection closed", "onnection reset", "Broken pipe", "TCPStore")


class Place(NamedTuple):
    """One process of a training: its `rank` among all, its `local` rank on its node."""

    devices: int = 1
    nodes: int = 1
    rank: int = 0
    local: int = 0

    @property
    def size(self) -> int:
        """The number of processes on all nodes."""
        return self.devices * self.nodes

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return torch.device("cuda", self.local) if torch.cuda.is_available() else CPU


def is_first() -> bool:
    """Return whether this is the first of all processes, which says what was trained."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def is_first_of_node() -> bool:
    """Return whether this is the first process of its node, which says what went wrong."""
    return int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0") == 0


def find_place(training: TrainingConfig) -> Place:
    """Return the place of this process among those of `training`.

    Raises:
        UsageError: there are fewer devices, or torchrun or SLURM started other processes.
    """
    gpus = torch.cuda.device_count()
    outside = next((kind() for kind in LAUNCHERS if kind.detect()), None)
    if outside is not None:
        place = _place_outside(training, outside)
    else:
        devices = training.devices or max(1, gpus)
        if training.nodes > 1 and "NODE_RANK" not in os.environ:
            raise UsageError(
                f"training.nodes is {training.nodes}, but nothing says which of them this one is; "
                "start the command on each with torchrun or srun (docs/train.md, Several devices "
                "and machines), or leave training.nodes out."
            )
        local = int(os.environ.get("LOCAL_RANK", "0"))
        node = int(os.environ.get("NODE_RANK", "0"))
        place = Place(devices, training.nodes, node * devices + local, local)
    if gpus and place.devices > gpus:
        raise UsageError(
            f"There are {place.devices} processes for each node, but this one has {gpus} "
            f"GPU{'s' * (gpus > 1)}; give training.devices={gpus}, or hide the GPUs with "
            "CUDA_VISIBLE_DEVICES= to train on CPUs."
        )
    return place


def _place_outside(training: TrainingConfig, outside: ClusterEnvironment) -> Place:
    name, variable = LAUNCHERS[type(outside)]
    size = outside.world_size()
    each = os.environ.get(variable, "")
    devices = training.devices or (int(each) if each.isdigit() else size // training.nodes)
    nodes = training.nodes if training.devices or training.nodes > 1 else size // devices
    if devices * nodes != size:
        raise UsageError(
            f"{name} started {size} process{'es' * (size > 1)}, but training.devices={devices} and "
            f"training.nodes={nodes} make {devices * nodes}; leave both out, or start as many."
        )
    return Place(devices, nodes, outside.global_rank(), outside.local_rank())


def check_equal(network: nn.Module, recipe: Recipe, place: Place) -> None:
    """Refuse what several processes would train otherwise than one.

    Raises:
        UsageError: BatchNorm would see a part of each batch, or a process nothing of it.
    """
    if place.size == 1:
        return
    if recipe.training.batch_size < place.size:
        raise UsageError(
            f"training.batch_size is {recipe.training.batch_size} images for {place.size} "
            f"processes together; give {place.size} or more, or fewer training.devices."
        )
    network.train()
    if any(isinstance(module, _BatchNorm) and module.training for module in network.modules()):
        head = recipe.decoder.head is not None
        way = "leave decoder.head out" if head else "give encoder.batch_norm=frozen"
        raise UsageError(
            f"BatchNorm would be trained on a part of each batch in each of {place.size} "
            f"processes, and another model would come of it; {way}, or training.devices=1."
        )


def environment() -> list[SLURMEnvironment]:
    """Return Lightning's environment of SLURM, if it is there: the run is requeued by its user.

    Lightning's own requeueing writes checkpoints of its own beside those that `--resume` reads.
    """
    if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        return [SLURMEnvironment(auto_requeue=False)]
    return []


def strategy_of(place: Place, *, held: bool) -> Strategy | str:
    """Return Lightning's strategy; `held`: an encoder has no gradient in the first epochs."""
    if place.size == 1:
        return "auto"
    # what is no parameter is equal in all processes already
    return DDPStrategy(find_unused_parameters=held, broadcast_buffers=False)


class Processes:
    """All processes of a training, and sums over them; a process alone is its own sum.

    While `absent`, this process has no image of the batch: it adds nothing.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self.absent = False

    def total(self, numbers: Tensor) -> Tensor:
        """Sum a tensor over all processes, without a gradient."""
        if self.size == 1:
            return numbers.detach()
        summed = torch.zeros_like(numbers) if self.absent else numbers.detach().clone()
        torch.distributed.all_reduce(summed)
        return summed

    def gathered(self, item: Any) -> list[Any]:
        """Return the items of all processes, by rank."""
        if self.size == 1:
            return [item]
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, item)
        return found


@contextmanager
def ended_together(trainer: L.Trainer, place: Place) -> Iterator[None]:
    """Within, a process that ends takes those that it started with it.

    Ctrl-C reaches all processes of a terminal: the first one ends the others.

    Raises:
        UsageError: another process has ended.
        KeyboardInterrupt: Ctrl-C, which Lightning would make an exit code of.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if main and place.local > 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    except BaseException as error:
        if place.size > 1 and isinstance(trainer.strategy.launcher, Launcher):
            trainer.strategy.launcher.kill(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if place.size > 1 and isinstance(error, RuntimeError) and _is_of_peers(error):
            raise UsageError(
                f"Another of the {place.size} processes has ended, so training stops; best, last "
                "and the checkpoint stay as they were after the last whole epoch. Go on with "
                "--resume."
            ) from error
        raise
    finally:
        if main:  # Lightning leaves Ctrl-C ignored
            signal.signal(signal.SIGINT, before)


def _is_of_peers(error: RuntimeError) -> bool:
    return isinstance(error, torch.distributed.DistError) or any(
        word in str(error) for word in LOST
    )
