"""Weight averaging: the mean of several models ("model soup").

Models that went on from the same trained model, by other seeds or objectives, lie in one valley,
and between them it is often deeper: the mean captions better than each, and costs no more to run.
Wortsman et al. 2022 (arXiv 2203.05482), section 2.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from cutline.errors import UsageError
from cutline.network.model import Model, network_of
from cutline.network.storage import check_finite

__all__ = ["average"]


def average(models: Sequence[Model], shares: Sequence[float] | None = None) -> Model:
    """Return a model whose weights are the mean of those of `models`.

    Args:
        models: two or more of the same network and vocabulary; the first one's search is kept.
        shares: how much of each, one positive number for each; alike by default.

    Raises:
        ModelError: one has weights that are not finite.
        UsageError: they are no two of a kind, or the shares are not theirs.
    """
    weights = [1.0] * len(models) if shares is None else [float(share) for share in shares]
    if (
        len(models) < 2
        or len(weights) != len(models)
        or not all(0 < weight < math.inf for weight in weights)
    ):
        raise UsageError(
            f"{len(models)} models and {len(weights)} weights were given; give two models or "
            "more, and a positive weight for each, such as --weights 2,1."
        )
    first = models[0]
    for other in models[1:]:
        _check_alike(first, other)
    weights = [weight / sum(weights) for weight in weights]
    states = [model.network.state_dict() for model in models]
    for model, state in zip(models, states, strict=True):
        check_finite(state, model.name, advice="leave it out")
    mean = {name: _mean([state[name] for state in states], weights) for name in states[0]}
    parts = [
        {"name": one.name, "weight": weight, **one.config.provenance}
        for one, weight in zip(models, weights, strict=True)
    ]
    config = first.config.model_copy(
        update={"provenance": {"mean of": parts}, "scores": {}, "sureness": None}
    )
    return Model(config, network_of(config, mean), first.vocabulary)


def _mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    total = sum(weight * tensor.double() for weight, tensor in zip(weights, tensors, strict=True))
    assert isinstance(total, Tensor)
    return total.to(tensors[0].dtype)


def _check_alike(one: Model, other: Model) -> None:
    for what, a, b in (
        ("encoder", one.config.encoder.name, other.config.encoder.name),
        ("decoder", one.config.decoder.name, other.config.decoder.name),
        ("preprocessing", one.config.preprocessing, other.config.preprocessing),
        ("size", *({k: v.shape for k, v in c.network.state_dict().items()} for c in (one, other))),
        ("vocabulary", *(c.vocabulary.words(range(len(c.vocabulary))) for c in (one, other))),
    ):
        if a != b:
            said = f" ({a}, {b})" if isinstance(a, str) else ""
            raise UsageError(
                f"{one.name} and {other.name} are not of the same {what}{said}; average models "
                "that went on from the same one (training.start_from)."
            )
