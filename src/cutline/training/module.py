"""The Lightning module: one training step, one validation step, the optimiser.

Shapes: `B` images, `K` captions an image, `T` words, `M` real words.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from cutline.captioner import Encoded, generate
from cutline.config import Recipe
from cutline.data.batches import Batch, collate
from cutline.errors import DataError, UsageError
from cutline.metrics import score
from cutline.network import Network, TorchBackend
from cutline.search import Words
from cutline.training.clip import clip_gradient
from cutline.training.devices import Processes
from cutline.training.objectives import Loss, Objective, read_references, together
from cutline.training.schedule import Factor, Plateau, build_schedule, own_words
from cutline.training.watch import Seen, Watch
from cutline.vocabulary import Vocabulary

__all__ = ["TrainingModule"]

# What the progress bar shows of an objective's figures, and what it calls it.
SHOWN = {"cross_entropy_per_word": "loss", "reward": "reward"}


class TrainingModule(L.LightningModule):
    """Trains a network by an objective, and judges it by the captions that it generates.

    `references` maps image ids of the validation split to their captions. Validation logs
    `val/cider_greedy` or, with a beam, `val/cider_beam_5` (generated captions, what models are
    chosen by) and, named as such, the teacher-forced cross-entropy, perplexity and top-5 accuracy.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        recipe: Recipe,
        references: Mapping[str, Sequence[str]],
        objective: Objective,
        watch: Watch,
        processes: Processes | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.vocabulary = vocabulary
        self.recipe = recipe
        self.references = references
        self.watch = watch
        self.processes = processes or Processes()
        self.stand_in: Batch | None = None
        self.made: Loss | None = None  # of the step that is being done
        self.captions: dict[str, str] = {}
        self.schedule: Factor
        self.judged = torch.zeros(3)  # of the references: cross-entropy, top-5 hits, words

    def on_train_start(self) -> None:
        """Lay out what a checkpoint kept of each weight as the weight lies: fused AdamW asks it."""
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        for parameter, kept in optimizer.state.items():
            for name, value in kept.items():
                if value.shape == parameter.shape:
                    kept[name] = torch.empty_like(parameter).copy_(value)
        self._take_up_rates()
        self.watch.scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None

    def on_train_epoch_start(self) -> None:
        """Tell both parts; the encoder is let go when its time has come."""
        self.network.encoder.hold(self.current_epoch + 1 < self.recipe.encoder.unfreeze_epoch)
        self.network.decoder.begin_epoch(self.current_epoch + 1)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make dropout a function of the seed and the step, so that a resumed run repeats it.

        Each process has random numbers of its own.
        """
        step = self.recipe.seed * 1_000_003 + self.global_step
        torch.manual_seed(step + (self.processes.rank << 40))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return what the objective makes small, and log its figures; nothing of nothing.

        Of several processes one without an image waits for the gradient of the others.
        """
        self.made = None
        self.processes.absent = not batch.ids
        if self.processes.absent:
            if self.processes.size == 1:
                return None
            batch = self._stand_in()
        plan = self.recipe.training.scheduled_sampling
        sampling = own_words(plan, self.current_epoch + 1)
        own: Loss = self.objective(self.network, batch, sampling=sampling)
        loss, share = together(own, self.processes)
        self.made = loss
        for name, figure in loss.figures.items():
            self.log(f"train/{name}", figure, on_step=True, on_epoch=True, batch_size=loss.captions)
        shown = next(name for name in ("cross_entropy_per_word", "reward") if name in loss.figures)
        self.log(
            SHOWN[shown],
            loss.figures[shown],
            prog_bar=True,
            logger=False,
            batch_size=loss.captions,
        )
        return own.value if self.processes.size == 1 else own.value * share

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score the words of the references, and caption the images, in full precision."""
        if not batch.ids:
            self._check("cross-entropy", self.judged.new_zeros(()))
            return
        width = self.recipe.training.validate_beam
        search = self.recipe.search.model_copy(update={"beam": width})
        special = Words.of(self.vocabulary)
        with torch.autocast(self.device.type, enabled=False):
            features = self.network.features(batch.inputs)
            _, words = read_references(self.network.decoder, features, batch, special)
            self._check("cross-entropy", words.cross_entropy)
            backend = TorchBackend(self.network)
            encoded = Encoded(features.grid, features.pooled)
            found = generate(backend, encoded, self.vocabulary, search)
        self.captions.update(
            {image: best[0].text for image, best in zip(batch.ids, found, strict=True)}
        )
        self.judged += torch.stack(
            [words.cross_entropy, words.top5, self.judged.new_tensor(words.words)]
        )

    def on_validation_start(self) -> None:
        """Look at the weights before they are judged and saved."""
        self.watch.check(self.network, self.current_epoch)

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before."""
        self.processes.absent = False
        self.captions = {}
        self.judged = torch.zeros(3, device=self.device)

    def on_validation_epoch_end(self) -> None:
        """Log CIDEr of the captions, and how the references' words were foreseen."""
        total = self.processes.total(self.judged)
        parts = self.processes.gathered(self.captions)
        made = {image: text for part in parts for image, text in part.items()}
        captions = {image: made[image] for image in self.references if image in made}
        if not captions:
            raise DataError(
                "Not one validation picture can be read any more, so training stops; put them back "
                "and go on with --resume."
            )
        cross_entropy, top5, words = total
        self.log("val/teacher_forced_cross_entropy_per_word", cross_entropy / words)
        self.log("val/teacher_forced_perplexity", (cross_entropy / words).exp())
        self.log("val/teacher_forced_top5_accuracy", top5 / words)
        split = self.vocabulary.split
        references = {image: [*map(split, self.references[image])] for image in captions}
        captions = {image: split(text) for image, text in captions.items()}
        cider = score(captions, references, metrics=("CIDEr",)).corpus["CIDEr"]
        if not math.isfinite(cider):
            raise self._not_finite("CIDEr", cider)
        self.log(self.recipe.training.monitor, cider)
        self.log("val CIDEr", cider, prog_bar=True, logger=False)
        if isinstance(self.schedule, Plateau):
            self.schedule.judge(cider)

    def configure_optimizers(self) -> Any:
        """AdamW; the encoder has its own learning rate; only matrices decay."""
        training = self.recipe.training
        # fused: one pass over the weights; but it would unscale half precision's gradients itself
        fused = training.precision != "16-mixed"
        optimizer = AdamW(self._groups(), lr=training.learning_rate, fused=fused)
        steps = int(self.trainer.estimated_stepping_batches)
        self.schedule = build_schedule(training, total=steps)
        return [optimizer], [{"scheduler": LambdaLR(optimizer, self.schedule), "interval": "step"}]

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Shorten the gradient; Lightning's own refuses fused AdamW when precision is mixed."""
        if self.processes.absent and self.made is not None and not self.made.captions:
            optimizer.zero_grad()  # not one process has an image: no step
        norm = clip_gradient(self.parameters(), gradient_clip_val or math.inf)
        if self.made is None:
            return
        value = self.made.value.detach()
        figure = self.made.figures.get("cross_entropy_per_word", torch.zeros_like(value))
        step, epoch = self.global_step + 1, self.current_epoch + 1
        self.watch.see(Seen(step, epoch, value, norm.detach(), figure.detach()))

    def _take_up_rates(self) -> None:
        """Let a resumed run begin at the rate of its own schedule, which may be a longer one.

        A plateau's rate is what it was: it knows no end.
        """
        if isinstance(self.schedule, Plateau):
            return
        scheduler: Any = self.lr_schedulers()
        factor = self.schedule(scheduler.last_epoch)
        for group, full in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
            group["lr"] = full * factor

    def _check(self, what: str, figure: Tensor) -> None:
        """Stop all processes if the figure of one of them is not finite."""
        total = float(self.processes.total(figure))
        if not math.isfinite(total):
            raise self._not_finite(what, total)

    def _not_finite(self, what: str, figure: float) -> UsageError:
        epochs = self.current_epoch
        return self.watch.fault(f"{what} on validation is {figure} in epoch {epochs + 1}", epochs)

    def _stand_in(self) -> Batch:
        """Return the first image that can be read: it is computed, and counts as nothing."""
        if self.stand_in is None:
            images: Any = self.trainer.train_dataloader.dataset  # type: ignore[union-attr]
            found = (collate([images[row]]) for row in range(len(images)))
            batch = next((batch for batch in found if batch.ids), None)
            if batch is None:
                raise DataError("Not one training picture can be read any more.")
            self.stand_in = self.transfer_batch_to_device(batch, self.device, 0)
        return self.stand_in

    def _groups(self) -> list[dict[str, Any]]:
        training = self.recipe.training
        parts: tuple[tuple[nn.Module, float], ...] = (
            (self.network.decoder, training.learning_rate),
            (self.network.encoder, self.recipe.encoder.learning_rate),
        )
        groups = []
        for part, rate in parts:
            trained = [p for p in part.parameters() if p.requires_grad]
            for matrices, decay in ((True, training.weight_decay), (False, 0.0)):
                chosen = [p for p in trained if (p.ndim > 1) == matrices]
                if chosen:
                    groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
        return groups
