"""The Lightning module: one training step, one validation step, the optimiser.

Shapes: `B` images, `K` captions an image, `T` words, `M` real words.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from cutline.captioner import Caption, Encoded, generate
from cutline.config import TEACHER_FORCED_LOSS, Recipe
from cutline.data.batches import Batch, collate
from cutline.errors import DataError, UsageError
from cutline.metrics import score
from cutline.network import Network, TorchBackend
from cutline.search import Words
from cutline.training.advice import advise_on_steps
from cutline.training.clip import clip_gradient
from cutline.training.devices import Processes
from cutline.training.objectives import Loss, Objective, read_references, together
from cutline.training.optimizer import Optimization, build_optimizer
from cutline.training.schedule import Factor, Plateau, build_schedule, own_words
from cutline.training.selection import rank
from cutline.training.watch import Seen, Watch
from cutline.vocabulary import Vocabulary

__all__ = ["TrainingModule"]

# What the progress bar shows of an objective's figures, and what it calls it.
SHOWN = {"cross_entropy_per_word": "loss per word", "reward": "reward"}


class TrainingModule(L.LightningModule):
    """Trains a network by an objective, and judges it by the captions that it generates.

    `references` maps image ids of the validation split to their captions. Validation logs
    `val/cider_greedy` and `val/bleu4_greedy` or, with a beam, `val/cider_beam_5` and so on (of
    generated captions) and, named as such, the teacher-forced cross-entropy per word and per
    caption, perplexity and top-5 accuracy. `samples` holds the captions of the last validation's
    first `training.log_images` images, with their attention.
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
        self.sampled = set(islice(references, recipe.training.log_images))
        self.samples: dict[str, Caption] = {}
        self.schedule: Factor
        self.optimization: Optimization
        # of the references: cross-entropy, top-5 hits, words, captions
        self.judged = torch.zeros(4)

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
        for part, rate in self.optimization.learning_rates().items():
            self.log(f"learning_rate/{part}", rate, batch_size=1)
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
        for image, (best, *_) in zip(batch.ids, found, strict=True):
            self.captions[image] = best.text
            if image in self.sampled:
                self.samples[image] = best
        counts = self.judged.new_tensor([words.words, int((batch.lengths > 0).sum())])
        self.judged += torch.cat([torch.stack([words.cross_entropy, words.top5]), counts])

    def on_validation_start(self) -> None:
        """Look at the weights before they are judged and saved."""
        self.watch.check(self.network, self.current_epoch)

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before."""
        self.processes.absent = False
        self.captions = {}
        self.samples = {}
        self.judged = torch.zeros(4, device=self.device)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the captions, and how the references' words were foreseen."""
        total = self.processes.total(self.judged)
        made = {k: v for part in self.processes.gathered(self.captions) for k, v in part.items()}
        captions = {image: made[image] for image in self.references if image in made}
        parts = self.processes.gathered(self.samples)
        self.samples = {image: sample for part in parts for image, sample in part.items()}
        if not captions:
            raise DataError(
                "Not one validation picture can be read any more, so training stops; put them back "
                "and go on with --resume."
            )
        cross_entropy, top5, words, count = total.tolist()
        scores, training = self._scores(captions), self.recipe.training
        figures = {
            TEACHER_FORCED_LOSS: cross_entropy / words,
            "val/teacher_forced_cross_entropy_per_caption": cross_entropy / count,
            "val/teacher_forced_perplexity": torch.tensor(cross_entropy / words).exp().item(),
            "val/teacher_forced_top5_accuracy": top5 / words,
            f"val/cider_{training.search_name}": scores["CIDEr"],
            f"val/bleu4_{training.search_name}": scores["BLEU-4"],
        }
        self.log_dict(figures)
        for metric in ("CIDEr", "BLEU-4"):
            self.log(f"val {metric}", scores[metric], prog_bar=True, logger=False)
        if isinstance(self.schedule, Plateau):
            self.schedule.judge(*rank(figures, training.monitored))

    def configure_optimizers(self) -> Any:
        """Build the optimiser, and the schedule for all steps of the run."""
        self.optimization = build_optimizer(self.network, self.recipe)
        optimizer = self.optimization.optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        self.schedule = build_schedule(self.recipe.training, total=steps)
        if self.trainer.is_global_zero:
            for note in advise_on_steps(self.recipe, steps):
                self.watch.say(note)
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

    def _scores(self, captions: Mapping[str, str]) -> dict[str, float]:
        """Score the captions by CIDEr and BLEU-4."""
        split = self.vocabulary.split
        references = {image: [*map(split, self.references[image])] for image in captions}
        words = {image: split(text) for image, text in captions.items()}
        scores = score(words, references, metrics=("CIDEr", "BLEU")).corpus
        for metric in ("CIDEr", "BLEU-4"):
            if not math.isfinite(scores[metric]):
                raise self._not_finite(metric, scores[metric])
        return scores

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
