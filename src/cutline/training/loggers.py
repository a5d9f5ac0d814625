"""Experiment loggers: TensorBoard, Weights & Biases, MLflow or CSV, through Lightning's own.

    tensorboard   OUT/tensorboard
    wandb         OUT/wandb, and the account of `wandb login` unless WANDB_MODE=offline
    mlflow        OUT/mlflow.db and OUT/mlruns, or the server that MLFLOW_TRACKING_URI names
    csv           OUT/csv/version_0, and the next number for each time the run is resumed

All get the figures and the recipe; all but CSV get pictures.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import yaml
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger
from PIL import Image

from cutline.config import Recipe
from cutline.errors import UsageError
from cutline.training.curves import Curves

__all__ = ["build_logger", "check_logger", "closing", "log_picture", "log_recipe"]

PROJECT = "cutline"  # how Weights & Biases and MLflow group runs


def check_logger(recipe: Recipe) -> None:
    """Refuse a logger whose package is not installed, before anything is computed.

    Raises:
        UsageError: it is not; the sentence has the pip line.
    """
    name = recipe.training.logger
    if name in ("wandb", "mlflow") and find_spec(name) is None:
        raise UsageError(
            f"training.logger={name} needs a package that is not installed: type pip install "
            f"{name}, or training.logger=tensorboard."
        )


def build_logger(recipe: Recipe, out: Path) -> Logger:
    """Build what `training.logger` names, for the run in the folder `out`.

    Raises:
        UsageError: it cannot be begun, such as Weights & Biases without an account.
    """
    folder = out.resolve()
    match recipe.training.logger:
        case "wandb":
            return _wandb(folder)
        case "mlflow":
            server = os.environ.get("MLFLOW_TRACKING_URI")
            return MLFlowLogger(
                PROJECT,
                run_name=folder.name,
                tracking_uri=server or f"sqlite:///{folder / 'mlflow.db'}",
                artifact_location=None if server else (folder / "mlruns").as_uri(),
            )
        case "csv":
            return CSVLogger(out, name="csv")
    return Curves(out)


@contextmanager
def closing(logger: Logger | None) -> Iterator[None]:
    """End a run of Weights & Biases, which would go on into the next training of this process."""
    failed = True
    try:
        yield
        failed = False
    finally:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=int(failed))


def log_recipe(logger: Logger, recipe: Recipe) -> None:
    """Log the recipe: as fields that can be compared, or as text."""
    fields = recipe.model_dump()
    if isinstance(logger, Curves):
        text = yaml.safe_dump(fields, sort_keys=False)
        logger.log_text("recipe", "\n".join(f"    {line}" for line in text.splitlines()))
    else:
        logger.log_hyperparams(fields)


def log_picture(logger: Logger, name: str, picture: Image.Image, *, step: int, title: str) -> None:
    """Log a picture under `name`, as it is at `step`; CSV has no pictures."""
    if isinstance(logger, Curves):
        logger.log_picture(name, picture, step)
    elif isinstance(logger, WandbLogger):
        logger.log_image(name, [picture], step=step, caption=[title])
    elif isinstance(logger, MLFlowLogger):
        file = f"{name}/step-{step:07d}.png"
        logger.experiment.log_image(logger.run_id, picture, file)


def _wandb(folder: Path) -> Logger:
    import wandb

    logger = WandbLogger(name=folder.name, group=folder.name, project=PROJECT, save_dir=folder)
    try:
        _ = logger.experiment
    except wandb.errors.UsageError:  # no key
        raise UsageError(
            "training.logger=wandb needs an account: type wandb login, or set WANDB_MODE=offline "
            "in the environment, which writes to the run's folder only."
        ) from None
    return logger
