"""The captioners that come with Cutline, and how a model is found by name."""

from pathlib import Path

from cutline.errors import ModelError, did_you_mean

__all__ = ["SHIPPED", "find_model", "shipped_models"]

SHIPPED = "flickr8k-small"
_FOLDER = Path(__file__).parent


def shipped_models() -> list[Path]:
    """Return the folders of the models that come with Cutline."""
    return sorted(path.parent for path in _FOLDER.glob("*/config.json"))


def find_model(name: Path | str) -> Path:
    """Find a model by its folder, or by its name among those that come with Cutline."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    shipped = {path.name: path for path in shipped_models()}
    if str(name) in shipped:
        return shipped[str(name)]
    hint = did_you_mean(str(name), shipped).partition("Allowed")[0]
    raise ModelError(
        f"There is no model folder {folder}; {hint}`cutline models` lists those at hand, and "
        "`cutline demo` makes one in runs/demo/model."
    )
