"""Trainings in processes of their own, alone or several together, that may be killed.

They are forked from a server that has imported all that a training needs.
"""

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from support import tiny

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["cutline.training", "support.runs", "tensorboard"])
TRAIN = (
    "encoder.trainable=none",
    "decoder.dropout=0",
    "data.scenes.train=15",
    "data.scenes.val=5",
    "training.batch_size=7",
    "training.threads=1",
    "training.compile=false",
)
DECODERS = {
    "soft": "{name: soft, embedding: 16, hidden: 24, attention: 12, penalty: 0.5}",
    "hard": "{name: hard, embedding: 16, hidden: 24, attention: 12, penalty: 0.5}",
    "nic": "{name: nic, embedding: 16, hidden: 24}",
    "rnn": "{name: rnn, embedding: 16, hidden: 24}",
    "dot": "{name: dot, embedding: 16, hidden: 24}",
    "spatial": "{name: spatial, embedding: 24, hidden: 24, attention: 12}",
    "adaptive": "{name: adaptive, embedding: 24, hidden: 24, attention: 12}",
}


def recipe_file(folder: Path, decoder: str = "soft") -> Path:
    """Write the tiny recipe, of a decoder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = tiny.RECIPE.splitlines()
    text = "\n".join(
        f"decoder: {DECODERS[decoder]}" if line.startswith("decoder:") else line for line in lines
    )
    return tiny.write_recipe(folder, text)


class Run:
    """A training into `folder/out`, in `size` processes; `patches` are names of `PATCHES`."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        decoder: str = "soft",
        size: int = 1,
        resume: bool = False,
        patches: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.out = folder / "out"
        recipe = recipe_file(folder, decoder)
        cache = f"data.cache={folder.parent / 'cache'}"
        given = [*TRAIN, cache, f"training.devices={size}", *words]
        self.before, port = len(self.steps), _free_port()
        self.processes = [
            FORKS.Process(
                target=_train,
                args=(recipe, given, self.out, resume, patches, rank if size > 1 else None, port),
            )
            for rank in range(size)
        ]
        for process in self.processes:
            process.start()

    def wait(self, seconds: float = 600) -> list[int | None]:
        """Return the exit codes."""
        deadline = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        return [process.exitcode for process in self.processes]

    def done(self) -> "Run":
        """Wait, and see that all went well."""
        codes = self.wait()
        assert codes == [0] * len(codes), self.said()
        return self

    def kill(self, *ranks: int) -> None:
        """Kill some processes, or all of them."""
        for rank in ranks or range(len(self.processes)):
            self.processes[rank].kill()

    def wait_for_steps(self, count: int, seconds: float = 600) -> None:
        """Wait until so many steps have been done since this run began."""
        deadline = time.monotonic() + seconds
        while len(self.steps) < self.before + count and time.monotonic() < deadline:
            if self.processes[0].exitcode is not None:
                return
            time.sleep(0.005)

    def said(self, rank: int = 0) -> str:
        """What a process printed."""
        return (self.folder / f"said-{rank}.txt").read_text(encoding="utf-8")

    @property
    def steps(self) -> list[float]:
        """The cross-entropy per word of each step, or the loss, of all processes together."""
        path = self.folder / "steps.txt"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def figures(self) -> list[dict[str, float]]:
        """The figures after each epoch."""
        from cutline.training.checkpoints import SafeCheckpointIO

        saved = SafeCheckpointIO().load_checkpoint(self.out / "checkpoint.safetensors")
        rows: list[dict[str, float]] = saved["callbacks"]["KeepModels"]["history"]
        return rows

    @property
    def captions(self) -> list[str]:
        """The best model's captions of the validation split."""
        return json.loads((self.folder / "captions.json").read_text())

    def weights(self, name: str = "last") -> dict[str, torch.Tensor]:
        """The weights of a saved model."""
        return load_file(self.out / name / "model.safetensors")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _train(
    recipe: Path,
    words: list[str],
    out: Path,
    resume: bool,
    patches: tuple[str, ...],
    rank: int | None,
    port: int,
) -> None:
    said = (recipe.parent / f"said-{rank or 0}.txt").open("w", encoding="utf-8", buffering=1)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(said.fileno(), stream.fileno())
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    if rank is not None:
        os.environ |= {
            "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": f"{port}",
        }
    from cutline.config import read_recipe
    from cutline.errors import CutlineError
    from cutline.training import train
    from cutline.training.data import load_splits

    for name in patches:
        PATCHES[name]()
    if not rank:
        _note_steps(recipe.parent / "steps.txt")
    with tiny.no_graphs():
        try:
            plan = read_recipe(recipe, words)
            result = train(plan, out, resume=resume, say=print)
            if not rank:
                pictures = [example.picture.open() for example in load_splits(plan).val]
                texts = [caption.text for caption in result.captioner.caption(pictures)]
                (recipe.parent / "captions.json").write_text(json.dumps(texts))
        except CutlineError as error:
            print(error)
            sys.stdout.flush()
            os._exit(2)


def _note_steps(path: Path) -> None:
    from cutline.training.module import TrainingModule

    step = TrainingModule.training_step

    def noted(self: Any, batch: Any, batch_idx: int) -> Any:
        found = step(self, batch, batch_idx)
        with path.open("a") as file:
            each = self.made.figures.get("cross_entropy_per_word", self.made.value)
            file.write(f"{each.item()!r}\n")
        return found

    TrainingModule.training_step = noted


def _likeliest_region() -> None:
    from cutline.decoders import Hard

    def sample(_: Any, alpha: Any) -> Any:
        return alpha.detach().argmax(1)

    Hard.sample = sample


def _words_by_rank() -> None:
    """Each sample of an image takes another word: the likeliest, the second, ..."""
    from torch.nn import functional as F

    from cutline.decoders import free_running, teacher_forcing

    def draw(decoder: Any, output: Any, banned: Any) -> Any:
        logits = decoder.project(output)
        never = torch.as_tensor(banned, dtype=torch.long)
        log_probs = F.log_softmax(logits.index_fill(1, never, -torch.inf), dim=1)
        best = log_probs.detach().topk(5).indices
        words = best.gather(1, (torch.arange(len(best)) % 5).unsqueeze(1))
        return words[:, 0], log_probs.gather(1, words)[:, 0]

    def likeliest(decoder: Any, output: Any, banned: Any) -> Any:
        logits = decoder.project(output)
        return logits.argmax(1), logits

    free_running.draw_words = draw
    teacher_forcing.draw_words = likeliest


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_in_checkpoint(*, whole: bool) -> None:
    """Die while the second checkpoint is written, before or after its last byte."""
    from cutline.training import checkpoints

    save, times = checkpoints.save_file, iter(range(9))

    def dying(tensors: Any, draft: Path, metadata: Any) -> None:
        save(tensors, draft, metadata=metadata)
        if next(times) == 1:
            if not whole:
                os.truncate(draft, draft.stat().st_size // 2)
            _die()

    checkpoints.save_file = dying


def _die_between_models() -> None:
    """Die when the `last` model has been moved away, and the next is not there yet."""
    rename = Path.rename

    def dying(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        if self.name == "last":
            _die()
        return moved

    Path.rename = dying


PATCHES = {
    "regions": _likeliest_region,
    "words": _words_by_rank,
    "half a checkpoint": partial(_die_in_checkpoint, whole=False),
    "checkpoint drafted": partial(_die_in_checkpoint, whole=True),
    "last moved away": _die_between_models,
}
"""Changes to a training's process.

The first two make what is drawn by chance a function of the image: processes draw other numbers.
The others end it at a moment that chance would seldom find.
"""
