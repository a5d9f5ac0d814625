"""Pretrained weights of a backbone: a local file, or timm's download; nothing pickled."""

from pathlib import Path
from textwrap import shorten
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cutline.config import EncoderConfig
from cutline.errors import UsageError

__all__ = ["load_weights"]


def load_weights(backbone: nn.Module, config: EncoderConfig) -> None:
    """Load what `config.weights` names into `backbone`, strictly."""
    if config.weights == "download":
        tensors = _download(backbone, config)
    else:
        tensors = _read(Path(config.weights).expanduser())
    classifier: Any = getattr(backbone, "pretrained_cfg", {}).get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    extra = tuple(f"{head}." for head in heads)
    kept = {name: value for name, value in tensors.items() if not name.startswith(extra)}
    try:
        backbone.load_state_dict(kept, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1] if "\n" in str(error) else str(error)
        reason = shorten(first.rstrip("."), 160, placeholder=" ...")
        raise UsageError(
            f"{config.weights} does not fit {config.name}: {reason}. "
            "Give the weights of this very model, or change encoder.name."
        ) from None


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix in {".pth", ".pt", ".bin", ".pkl", ".ckpt"}:
        raise UsageError(
            f"{path} may hold pickled code and is not read; give a .safetensors file "
            "(safetensors.torch.save_file converts one)."
        )
    if not path.is_file():
        raise UsageError(
            f"There is no file {path} with the encoder's weights; give encoder.weights=FILE "
            "(.safetensors), encoder.weights=download, or encoder.weights=random."
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UsageError(f"{path} is not a whole .safetensors file: {error}.") from None


def _download(backbone: nn.Module, config: EncoderConfig) -> dict[str, Tensor]:
    hub = getattr(backbone, "pretrained_cfg", {}).get("hf_hub_id")
    if not hub:
        raise UsageError(
            f"timm offers no pretrained weights for {config.name}; "
            "give encoder.weights=FILE (.safetensors), or encoder.weights=random."
        )
    from huggingface_hub import hf_hub_download

    place = f"weights/{hub.rpartition('/')[2]}.safetensors"
    try:
        return load_file(hf_hub_download(hub, "model.safetensors"))
    except Exception as error:  # offline, refused, moved: the library raises many kinds
        raise UsageError(
            f"The weights of {config.name} could not be downloaded ({type(error).__name__}). "
            f"On another machine get the file model.safetensors of the Hugging Face model {hub}, "
            f"put it at {place}, and type encoder.weights={place}."
        ) from None
