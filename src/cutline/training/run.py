"""Training run: a recipe becomes a model.

OUT/best/                    the model whose captions scored best on validation
OUT/last/                    the model after the last epoch
OUT/recipe.yaml              what was trained
OUT/checkpoint.safetensors   from which `--resume` goes on
OUT/tensorboard/             curves, captions, attention (or OUT/csv, OUT/wandb, OUT/mlruns)
"""

import logging
import math
import os
import platform
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from cutline import __version__
from cutline.captioner import Captioner, ModelConfig, load, read_config
from cutline.compiled import compiling
from cutline.config import Recipe
from cutline.data.augment import Augment
from cutline.data.batches import EpochShuffle, ShardShuffle, batches
from cutline.data.cache import cache_folder
from cutline.data.examples import Captions
from cutline.data.readers.shards import ShardExamples
from cutline.decoders import admit
from cutline.encoders import keep_norms
from cutline.models import find_model
from cutline.network import Model, Network
from cutline.training.advice import advise
from cutline.training.beginning import begin
from cutline.training.callbacks import Averaged, KeepModels, NameUnreadable, Speed, StopEarly
from cutline.training.checkpoints import SafeCheckpointIO
from cutline.training.compile import wants_compiler
from cutline.training.curves import quiet_writer
from cutline.training.data import Progress, Splits, captioned_images, load_splits
from cutline.training.devices import (
    Place,
    Processes,
    check_equal,
    ended_together,
    environment,
    find_place,
    strategy_of,
)
from cutline.training.embedding import begin_words
from cutline.training.folder import CHECKPOINT, prepare
from cutline.training.loggers import build_logger, check_logger, closing
from cutline.training.module import TrainingModule
from cutline.training.objectives import build_objective
from cutline.training.progress import Bar, StepLines, progress_bar, rich_progress
from cutline.training.samples import LogSamples
from cutline.training.threads import choose_threads
from cutline.training.watch import Watch
from cutline.unspaced import looks_unspaced
from cutline.vocabulary import Vocabulary

__all__ = ["TrainingResult", "train"]

Say = Callable[[str], None]


class TrainingResult(NamedTuple):
    """The best model, where it lies, and the figures after each epoch."""

    captioner: Captioner
    folder: Path
    history: list[dict[str, float]]


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    say: Say = print,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train what `recipe` says into the folder `out`.

    Args:
        recipe: see `cutline.config.Recipe`.
        out: a folder that does not exist or is empty, unless `resume`.
        resume: go on from `out/checkpoint.safetensors`; without one, start from the beginning.
        say: told in a line what was recognised, left out, built.
        progress: starts a progress bar for vectors and features; by default drawn with rich.

    With `training.devices` or `training.nodes` several processes run this, each with a share of
    each batch; one of them says and writes.

    Raises:
        UsageError: `out` holds something else, or was trained by another recipe; or several
            processes would train another model than one.
    """
    _quieten()
    check_logger(recipe)
    recipe = recipe.model_copy(update={"decoder": admit(recipe.decoder)})
    place = find_place(recipe.training)
    processes = Processes(place.rank, place.size)
    if place.rank:
        say, progress = _nothing, _no_progress
    going_on = [] if place.rank else prepare(out, recipe, resume=resume)
    checkpoint = out / CHECKPOINT
    resumed = resume and checkpoint.is_file()
    progress = progress or rich_progress
    _settle_arithmetic(recipe, place)
    splits = load_splits(recipe)
    say(splits.dataset.describe())
    captions = Captions(splits.train)
    if recipe.words.tokenizer == "words" and recipe.words.pattern is None:
        for note in filter(None, [looks_unspaced(captions)]):
            say(f"note: {note}")
    network, vocabulary = begin(recipe, captions, out / "last" if resumed else None)
    for note in begin_words(
        network.decoder, vocabulary, captions, recipe, progress, resumed=resumed
    ):
        say(note)
    if network.encoder.trains and recipe.encoder.batch_norm == "frozen":
        keep_norms(network.encoder)
    check_equal(network, recipe, place)
    network.to(place.device)
    loaders, notes = _loaders(splits, network, vocabulary, recipe, progress, place)
    numbers = (words for captions in loaders[0].dataset.captions for words in captions)
    advice = advise(recipe, numbers, validation=len(loaders[1].dataset))
    for note in [*splits.notes, *notes, *advice]:
        say(note)
    say(_sizes(network, vocabulary, recipe))
    started = time.perf_counter()
    save = _saver(network, vocabulary, recipe, splits, started, len(loaders[0].dataset))
    average = recipe.training.ema_decay
    averaged = None if average is None else Averaged(decay=average)
    keep = KeepModels(out, save, recipe.training.monitored, averaged)
    val_references = {example.image_id: example.captions for example in splits.val}
    rewarded = splits.train if recipe.training.objective == "self_critical" else ()
    train_references = {example.image_id: example.captions for example in rewarded}
    objective = build_objective(recipe, vocabulary, train_references, processes)
    watch = Watch(recipe, out, say)
    module = TrainingModule(
        network, vocabulary, recipe, val_references, objective, watch, processes
    )
    for note in going_on:
        say(note)
    trainer = _trainer(recipe, out, keep, splits, say, place, processes)
    wanted = wants_compiler(
        recipe,
        device=trainer.strategy.root_device.type,
        words=sum(len(caption.split()) + 1 for caption in captions),
        vocabulary=len(vocabulary),
        regions=network.encoder.height * network.encoder.width,
    )
    if wanted:
        say("inner loops are compiled: the first steps take some seconds")
    compiled = cache_folder(recipe.data.cache) / "compiled"
    with (
        closing(trainer.logger),
        compiling(compiled, wanted=wanted),
        quiet_writer(),
        ended_together(trainer, place),
    ):
        trainer.fit(module, *loaders, ckpt_path=checkpoint if resumed else None, weights_only=True)
    return TrainingResult(load(out / "best"), out / "best", keep.history)


def _loaders(
    splits: Splits,
    network: Network,
    vocabulary: Vocabulary,
    recipe: Recipe,
    progress: Progress,
    place: Place,
) -> tuple[tuple[Any, Any], list[str]]:
    training = recipe.training
    augment = recipe.data.augment
    train_images, notes = captioned_images(
        splits.train,
        network,
        vocabulary,
        recipe,
        progress,
        title="training images",
        augment=None if augment is None else Augment(**augment.model_dump()),
    )
    val_images, more = captioned_images(
        splits.val, network, vocabulary, recipe, progress, title="validation images"
    )
    order = EpochShuffle(len(train_images), seed=recipe.seed)
    if isinstance(train_images.examples, ShardExamples):
        buffer = recipe.data.shuffle_buffer
        order = ShardShuffle(train_images.examples, seed=recipe.seed, buffer=buffer)
    share = partial(batches, workers=recipe.data.workers, rank=place.rank, size=place.size)
    loaders = (
        share(train_images, batch_size=training.batch_size, sampler=order),
        share(val_images, batch_size=2 * training.batch_size),
    )
    return loaders, list(dict.fromkeys([*notes, *more]))


def _trainer(
    recipe: Recipe,
    out: Path,
    keep: KeepModels,
    splits: Splits,
    say: Say,
    place: Place,
    processes: Processes,
) -> L.Trainer:
    training = recipe.training
    callbacks: list[Callback] = [Speed(), NameUnreadable(say, processes)]
    callbacks.append(LogSamples(splits.val[: training.log_images]))
    if training.log_every:
        callbacks.append(StepLines(training.log_every))
    if keep.averaged is not None:
        callbacks.append(keep.averaged)
    if training.patience:
        callbacks.append(StopEarly(training.patience, training.monitored, say))
    shown = progress_bar(keep)
    return L.Trainer(
        max_epochs=training.epochs,
        accelerator="auto" if place.size == 1 else place.device.type,
        devices=place.devices,
        num_nodes=place.nodes,
        strategy=strategy_of(place, held=recipe.encoder.unfreeze_epoch > 1),
        use_distributed_sampler=False,
        callbacks=[*callbacks, keep, shown],
        logger=build_logger(recipe, out),
        plugins=[SafeCheckpointIO(), *environment()],
        precision=training.precision,
        gradient_clip_val=training.gradient_clip,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=isinstance(shown, Bar),
        num_sanity_val_steps=0,
        log_every_n_steps=training.log_every or 20,
    )


def _saver(
    network: Network,
    vocabulary: Vocabulary,
    recipe: Recipe,
    splits: Splits,
    started: float,
    images: int,
) -> Callable[[Path, dict[str, Any]], None]:
    """Return what saves the network as it is now into a model folder."""
    data = f"{splits.dataset.describe()}; trained on {images:,} images"
    start = recipe.training.start_from
    before = {} if start is None else {"began as": read_config(find_model(start)).provenance}

    def save(folder: Path, facts: dict[str, Any]) -> None:
        encoder = recipe.encoder
        weights = Path(encoder.weights).name  # the folder is nobody's business
        config = ModelConfig(
            cutline_version=__version__,
            encoder=encoder.model_copy(update={"weights": weights}),
            decoder=recipe.decoder,
            vocabulary_size=len(vocabulary),
            preprocessing=network.encoder.preprocessing,
            search=recipe.search,
            provenance={
                "data": data,
                "date": datetime.now(UTC).date().isoformat(),
                "epochs": facts["epochs"],
                "seed": recipe.seed,
                "training": {**recipe.training.model_dump(), "start_from": None},
                "encoder weights": weights,
                "word vectors": Path(recipe.words.vectors or "none").name,
                **before,
                "minutes": round((time.perf_counter() - started) / 60, 1),
                "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, "
                f"torch {torch.__version__}",
            },
            scores={k: v for k, v in facts.items() if k.startswith("val/") and math.isfinite(v)},
        )
        Model(config, network, vocabulary).save(folder)

    return save


def _sizes(network: Network, vocabulary: Vocabulary, recipe: Recipe) -> str:
    decoder = sum(p.numel() for p in network.decoder.parameters()) / 1e6
    encoder = sum(p.numel() for p in network.encoder.parameters()) / 1e6
    start = recipe.encoder.unfreeze_epoch
    state = "trained" if network.encoder.trains else "frozen"
    state += f" from epoch {start}" if start > 1 else ""
    return (
        f"{len(vocabulary):,} words; encoder {encoder:.1f} million parameters ({state}), "
        f"decoder {decoder:.1f} million"
    )


def _nothing(_: str) -> None:
    """Say nothing: another process does."""


def _no_progress(_: str, __: int) -> Callable[[int], None]:
    return lambda _: None


def _settle_arithmetic(recipe: Recipe, place: Place) -> None:
    """Choose threads, precision of products and random numbers of this process."""
    torch.set_num_threads(choose_threads(recipe, processes=place.devices))
    if place.size > 1:  # Lightning would choose anew
        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    torch.set_float32_matmul_precision("medium" if _medium_is_exact() else "highest")
    torch.manual_seed(recipe.seed)


def _medium_is_exact() -> bool:
    """Return whether `medium` float32 products are exact on this CPU (oneDNN without AMX).

    It chooses oneDNN, which is up to twice as fast; on CPUs with AMX it would mean bfloat16.
    """
    a, b = torch.randn(64, 256), torch.randn(256, 64)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    product = a @ b
    torch.set_float32_matmul_precision(before)
    exact = a.double() @ b.double()
    return bool((product - exact).norm() / exact.norm() < 1e-5)


def _quieten() -> None:
    """Keep Lightning's tips and hints to itself: what a person needs is said by `say`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*num_workers.*")
