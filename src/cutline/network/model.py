"""Model: a trained network with its configuration and vocabulary; read, changed, saved.

Shapes: `S` side of the encoder's input.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cutline.captioner import Captioner, ModelConfig, Sureness, model_name
from cutline.captioner.card import card
from cutline.captioner.folder import (
    CARD,
    FILES,
    FORMAT,
    GRAPHS,
    SURENESS,
    WEIGHTS,
    Storage,
    read_parts,
    read_sureness,
)
from cutline.errors import CutlineError, ModelError, UsageError
from cutline.files import printable
from cutline.folders import written_folder
from cutline.models import LARGEST_CONFIG
from cutline.models.header import Entry
from cutline.network.backend import TorchBackend
from cutline.network.network import Network
from cutline.network.shell import Read, assemble
from cutline.network.storage import SCALE, check_finite, restore, squeeze
from cutline.untrusted import shortened
from cutline.vocabulary import Vocabulary

__all__ = ["Model", "network_of"]


@dataclass
class Model:
    """A network with configuration, vocabulary and sureness."""

    config: ModelConfig
    network: Network
    vocabulary: Vocabulary
    sureness: Sureness | None = None
    name: str = "model"

    @classmethod
    def read(cls, folder: Path) -> "Model":
        """Read a model folder of format 1 or 2.

        Raises:
            ModelError: it is not whole; the sentence says why.
        """
        parts = read_parts(folder)
        weights = {n: e for n, e in parts.header.items() if not n.startswith(SURENESS)}
        with _refused(folder), _opened(folder / WEIGHTS) as read:
            network = assemble(parts.config, weights, read)
        sureness = read_sureness(folder, parts, feature_size=network.encoder.feature_size)
        network = network.eval().requires_grad_(False)
        return cls(parts.config, network, parts.vocabulary, sureness, model_name(folder))

    def captioner(self, *, device: str = "cpu") -> Captioner:
        """Return a captioner on PyTorch, on a device such as `cuda`; the network moves there."""
        try:
            self.network.to(device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(
                f"device is {device}, which PyTorch cannot use here ({reason}); give cpu, or what "
                "`torch.cuda.is_available()` says is there."
            ) from None
        return Captioner(
            self.config,
            TorchBackend(self.network.eval()),
            self.vocabulary,
            sureness=self.sureness,
            name=self.name,
        )

    def save(self, folder: Path | str) -> None:
        """Write a folder of format 2; it appears whole or not at all, and replaces an older one.

        The graphs are compared with the network before they are kept.

        Raises:
            ModelError: it has weights that are not finite, or a graph differs from PyTorch.
            UsageError: it cannot be written there, or PyTorch makes no graph of it; an older one
                is as it was.
        """
        from cutline.network.graphs import write_graphs  # training needs no ONNX until it saves

        folder = Path(folder)
        encoder = self.network.encoder
        grid = (encoder.height, encoder.width)
        config = self.config.model_copy(update={"format": FORMAT, "grid": grid})
        tensors = self._tensors(printable(folder))
        text = config.model_dump_json(indent=2) + "\n"
        if len(text.encode()) > LARGEST_CONFIG:
            raise ModelError(
                f"{printable(folder)}: its config.json would have {len(text):,} letters and could "
                "not be read again; shorten its provenance."
            )
        with written_folder(folder, own=(*FILES, *GRAPHS, CARD)) as draft:
            (draft / "config.json").write_text(text, encoding="utf-8")
            try:
                save_file(tensors, draft / WEIGHTS)
            except SafetensorError as error:
                raise UsageError(
                    f"{printable(folder)} cannot be written ({error}); make room."
                ) from None
            (draft / WEIGHTS).chmod((draft / "config.json").stat().st_mode)  # it says 0600
            (draft / "tokenizer.json").write_text(self.vocabulary.text, encoding="utf-8")
            (draft / CARD).write_text(card(folder.name, config.model_dump()), encoding="utf-8")
            kept = {n: t for n, t in tensors.items() if not n.startswith(SURENESS)}
            write_graphs(draft, config, network_of(config, restore(kept)))

    def stored_as(self, storage: Storage) -> "Model":
        """Round the weights to what `storage` keeps of them, here and wherever they are saved."""
        small = squeeze(self.network.state_dict(), storage)
        check_finite(small, f"{self.name} as {storage}", advice="keep it as float32")
        self.network.load_state_dict(restore(small))
        self.config = self.config.model_copy(update={"storage": storage})
        return self

    def looking(self, *, size: int | None = None, mirror: bool | None = None) -> "Model":
        """Return a model of the same weights that looks at pictures otherwise than in training.

        Larger pictures than in training may help: a crop of training shows things larger than
        they are in a whole picture (Touvron et al. 2019, arXiv 1906.06423). What was scored and
        calibrated before is left out.

        Args:
            size: side of the encoder's input in pixels; by default as it is.
            mirror: whether to see the mirror image, too; by default as it is.

        Raises:
            UsageError: the encoder's weights are for one size only.
        """
        asked = {"size": size, "mirror": mirror}
        changes = {name: value for name, value in asked.items() if value is not None}
        encoder = self.config.encoder.model_validate(
            {**self.config.encoder.model_dump(), **changes}
        )
        seen = self.config.preprocessing
        preprocessing = replace(seen, size=seen.size if size is None else size)
        changed = {"encoder": encoder, "preprocessing": preprocessing, "scores": {}}
        config = self.config.model_copy(update={**changed, "sureness": None})
        try:
            network = network_of(config, self.network.state_dict())
        except ModelError:
            raise UsageError(
                f"The encoder of {self.name} has weights for pictures of {seen.size} pixels only; "
                "leave the size as it is."
            ) from None
        return Model(config, network, self.vocabulary, name=self.name)

    def calibrated(self, sureness: Sureness, scores: Mapping[str, Any]) -> "Model":
        """Return a model that knows how sure to be, and its scores on what it learned that from."""
        config = self.config.model_copy(
            update={"sureness": sureness.config, "scores": dict(scores)}
        )
        return Model(config, self.network, self.vocabulary, sureness, self.name)

    def _tensors(self, of: str) -> dict[str, Tensor]:
        """Return what `model.safetensors` is to hold, all of it finite."""
        weights = self.network.state_dict()
        known = {} if self.sureness is None else self.sureness.familiar.tensors()
        familiar = {f"{SURENESS}{name}": torch.from_numpy(part) for name, part in known.items()}
        advice = "it is not saved; train again with a lower learning rate, or average others"
        check_finite(weights | familiar, of, advice=advice)
        storage = self.config.storage
        narrow: Storage = "float32" if storage == "float32" else "float16"
        tensors = squeeze(weights, storage) | squeeze(familiar, narrow)
        check_finite(tensors, f"{of} as {storage}", advice="save it as float32")
        return tensors


def network_of(config: ModelConfig, tensors: Mapping[str, Tensor]) -> Network:
    """Build the network that `config` describes with copies of these weights, for looking only.

    Raises:
        ModelError: the weights are not of such a network.
    """
    header = {
        name: Entry("F32" if tensor.is_floating_point() else "I64", tuple(tensor.shape), 0, 0)
        for name, tensor in tensors.items()
    }

    def read(names: list[str]) -> dict[str, Tensor]:
        return {name: tensors[name].detach().to("cpu", copy=True) for name in names}

    return assemble(config, header, read).eval().requires_grad_(False)


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    """Make one sentence, which names the folder, of whatever a stranger's model comes to."""
    name = printable(folder)
    try:
        yield
    except CutlineError as error:
        raise ModelError(f"{name}: {shortened(error, longest=400)}") from None
    except MemoryError:
        raise ModelError(f"{name} takes more memory than there is.") from None
    except Exception as error:  # timm's constructors raise many kinds on options that are none
        if "allocate memory" in str(error):
            raise ModelError(f"{name} takes more memory than there is.") from None
        reason = shortened(f"{type(error).__name__}: {error}").rstrip(".")
        raise ModelError(f"{name}: config.json describes no network ({reason}).") from None


@contextmanager
def _opened(path: Path) -> Iterator[Read]:
    """Yield what reads tensors of `model.safetensors`, in single precision, all of them finite."""
    try:
        with safe_open(path, "pt") as file:
            there = set(file.keys())

            def read(names: list[str]) -> dict[str, Tensor]:
                stored = [n for name in names for n in (name, name + SCALE) if n in there]
                tensors = restore({name: file.get_tensor(name) for name in stored})
                advice = "copy the folder again, or train again"
                check_finite(tensors, "model.safetensors", advice=advice)
                return tensors

            yield read
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"model.safetensors is cut off or damaged ({error}); copy the file again, or train "
            "again."
        ) from None
