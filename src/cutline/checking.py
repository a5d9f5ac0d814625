"""Check of the published equations against known answers, computed another way.

The answers come from numpy in double precision: sums over single words, places and gates as the
papers print them. Gradients are complex-step derivatives of those (Squire & Trapp 1998, "Using
complex variables to estimate derivatives of real functions"), which lose no digits to a difference.
Nothing of `cutline.functional` or of PyTorch takes part in an answer.

Shapes: `N` captions, `T` time steps, `E` word embedding, `H` hidden state, `R = h * w` regions, `A`
attention size, `V` vocabulary.
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from cutline import functional, losses
from cutline.errors import UsageError
from cutline.files import printable

__all__ = ["BAR", "CHECKS", "Checked", "check_functions", "functions_of", "relative_error"]

BAR = 1e-9  # largest relative error in double precision
STEP = 1e-30  # of a derivative, in the imaginary direction
N, T, E, H, HEIGHT, WIDTH, A, V = 3, 4, 5, 6, 2, 3, 7, 9
R = HEIGHT * WIDTH

Array = NDArray[Any]
Arguments = Mapping[str, Any]
Answers = dict[str, Array | float]


class Checked(NamedTuple):
    """A function with the relative error of each of its results, or the reason why it has none."""

    function: str
    errors: dict[str, float]
    reason: str = ""

    @property
    def right(self) -> bool:
        """Agreement: it ran, and every error is within the bar."""
        return not self.reason and all(error <= BAR for error in self.errors.values())


class Check(NamedTuple):
    """Arguments of a function, what it should give, and how its result is read."""

    arguments: Arguments
    answers: Callable[..., Answers]
    read: Callable[[Any], Sequence[Any]] = lambda result: (
        result if isinstance(result, tuple) else (result,)
    )


def relative_error(found: Array, wanted: Array) -> float:
    """Largest relative error of two arrays of one shape: `max |x - y| / max(1e-8, |x| + |y|)`."""
    size = np.maximum(1e-8, np.abs(found) + np.abs(wanted))
    return float(np.max(np.abs(found - wanted) / size, initial=0.0))


def functions_of(file: Path | None = None) -> dict[str, Callable[..., Any]]:
    """Return the functions to check by name: Cutline's, or those of a Python file, which is run.

    Raises:
        UsageError: the file cannot be run, or has none of them.
    """
    if file is None:
        return {name: getattr(functional, name, None) or getattr(losses, name) for name in CHECKS}
    module = _run(file)
    found = {
        name: getattr(module, name) for name in CHECKS if callable(getattr(module, name, None))
    }
    if not found:
        raise UsageError(
            f"{printable(file)} has none of the functions that can be checked: {', '.join(CHECKS)}."
        )
    return found


def check_functions(functions: Mapping[str, Callable[..., Any]]) -> Iterator[Checked]:
    """Call each function on its arguments as tensors of float64, and compare with the answers."""
    for name, function in functions.items():
        check = CHECKS[name]
        wanted = check.answers(**check.arguments)
        try:
            found = check.read(function(**_tensors(check.arguments)))
            yield Checked(name, _errors(found, wanted))
        except Exception as error:  # whatever a student's function raises is its answer
            yield Checked(name, {}, f"{type(error).__name__}: {error}")


def _errors(found: Sequence[Any], wanted: Answers) -> dict[str, float]:
    if len(found) != len(wanted):
        raise ValueError(f"returned {len(found)} results, not {', '.join(wanted)}")
    errors = {}
    for result, (name, answer) in zip(found, wanted.items(), strict=True):
        array = torch.as_tensor(result).detach().numpy()
        if array.shape != np.shape(answer):
            raise ValueError(f"{name} has shape {array.shape}, not {np.shape(answer)}")
        error = relative_error(array, np.asarray(answer))
        errors[name] = error if np.isfinite(error) else np.inf
    return errors


def _tensors(arguments: Arguments) -> dict[str, Any]:
    return {
        name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
        for name, value in arguments.items()
    }


def _run(file: Path) -> ModuleType:
    try:
        spec = importlib.util.spec_from_file_location("checked", file)
        if spec is None or spec.loader is None or not file.is_file():
            raise UsageError(f"{printable(file)} is no Python file; give one that ends in .py.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except UsageError:
        raise
    except Exception as error:  # whatever a file does when it is run
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{printable(file)} cannot be run ({reason}); mend it first.") from error
    return module


# --- the arguments


def _drawn(*shape: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(0, 0.5, shape)


def _distribution(*shape: int, seed: int) -> Array:
    weights: Array = np.exp(_drawn(*shape, seed=seed))
    shares: Array = weights / weights.sum(-1, keepdims=True)
    return shares


_X, _H, _C = _drawn(N, E, seed=1), _drawn(N, H, seed=2), _drawn(N, H, seed=3)
_SEQUENCE, _GRID = _drawn(N, T, E, seed=4), _drawn(N, H, HEIGHT, WIDTH, seed=5)
_RNN = {"Wx": _drawn(E, H, seed=6), "Wh": _drawn(H, H, seed=7), "b": _drawn(H, seed=8)}
_LSTM = {
    "Wx": _drawn(E, 4 * H, seed=9),
    "Wh": _drawn(H, 4 * H, seed=10),
    "b": _drawn(4 * H, seed=11),
}
_ATTENTION_LSTM = {**_LSTM, "Wattn": _drawn(H, 4 * H, seed=12)}
_KEYS, _QUERY, _V = _drawn(N, R, A, seed=13), _drawn(N, A, seed=14), _drawn(A, seed=15)
_VALUES, _TARGETS = _drawn(N, R, H, seed=16), np.array([[1, 4, 2, 0], [3, 8, 0, 0], [5, 6, 7, 2]])
_SCORES, _DH = _drawn(N, T, V, seed=17), _drawn(N, T, H, seed=18)


# --- the answers


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(scores: Array) -> Array:
    powers = [np.exp(score) for score in scores]
    shares: Array = np.array(powers) / sum(powers)
    return shares


def _rnn_step(x: Array, h: Array, Wx: Array, Wh: Array, b: Array) -> Answers:
    sums = np.einsum("ne,eh->nh", x, Wx) + np.einsum("ng,gh->nh", h, Wh)
    return {"next_h": np.tanh(sums + b)}


def _rnn(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> Answers:
    states: list[Any] = [h0]
    for t in range(x.shape[1]):
        states.append(_rnn_step(x[:, t], states[-1], Wx, Wh, b)["next_h"])
    return {"h": np.stack(states[1:], 1)}


def _rnn_backward(dh: Array, x: Array, h0: Array, Wx: Array, Wh: Array, **_: Array) -> Answers:
    given = {"x": x, "h0": h0, "Wx": Wx, "Wh": Wh, "b": _RNN["b"]}

    def loss(**changed: Array) -> Any:
        return (dh * _rnn(**{**given, **changed})["h"]).sum()

    return {f"d{name}": _derivative(loss, name, value) for name, value in given.items()}


def _derivative(loss: Callable[..., Any], name: str, at: Array) -> Array:
    """Complex-step derivative: `df/dx = Im f(x + i s) / s`, exact to the last digits."""
    gradient = np.zeros_like(at)
    for place in np.ndindex(*at.shape):
        moved = at.astype(complex)
        moved[place] += 1j * STEP
        gradient[place] = np.imag(loss(**{name: moved})) / STEP
    return gradient


def _gates(a: Array, c: Array) -> tuple[Array, Array]:
    next_h, next_c = np.zeros_like(c), np.zeros_like(c)
    for n, j in np.ndindex(*c.shape):
        i, f, o, g = (a[n, gate * c.shape[1] + j] for gate in range(4))
        next_c[n, j] = _sigmoid(f) * c[n, j] + _sigmoid(i) * np.tanh(g)
        next_h[n, j] = _sigmoid(o) * np.tanh(next_c[n, j])
    return next_h, next_c


def _lstm_gates(a: Array, c: Array) -> Answers:
    return dict(zip(("next_h", "next_c"), _gates(a, c), strict=True))


def _lstm_step(x: Array, h: Array, c: Array, Wx: Array, Wh: Array, b: Array) -> Answers:
    return _lstm_gates(np.einsum("ne,eg->ng", x, Wx) + np.einsum("nh,hg->ng", h, Wh) + b, c)


def _lstm(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> Answers:
    h: Any = h0
    c: Any = np.zeros_like(h0)
    states = []
    for t in range(x.shape[1]):
        h, c = _lstm_step(x[:, t], h, c, Wx, Wh, b).values()
        states.append(h)
    return {"h": np.stack(states, 1)}


def _dot_product_attention(h: Array, A: Array) -> Answers:
    context, weights = np.zeros(h.shape), np.zeros((len(h), *A.shape[2:]))
    for n in range(len(h)):
        places = list(np.ndindex(*A.shape[2:]))
        scores = [sum(h[n] * A[n, :, p, q]) / np.sqrt(h.shape[1]) for p, q in places]
        for (p, q), weight in zip(places, _softmax(np.array(scores)), strict=True):
            weights[n, p, q] = weight
            context[n] += weight * A[n, :, p, q]
    return {"context": context, "weights": weights}


def _attention_lstm_step(
    x: Array, h: Array, c: Array, context: Array, Wx: Array, Wh: Array, Wattn: Array, b: Array
) -> Answers:
    seen = np.einsum("nh,hg->ng", context, Wattn)
    a = np.einsum("ne,eg->ng", x, Wx) + np.einsum("nh,hg->ng", h, Wh) + seen + b
    return _lstm_gates(a, c)


def _attention_lstm(x: Array, A: Array, Wx: Array, Wh: Array, Wattn: Array, b: Array) -> Answers:
    h: Any = A.sum((2, 3)) / (A.shape[2] * A.shape[3])
    c, states = h, []
    for t in range(x.shape[1]):
        context: Any = _dot_product_attention(h, A)["context"]
        h, c = _attention_lstm_step(x[:, t], h, c, context, Wx, Wh, Wattn, b).values()
        states.append(h)
    return {"h": np.stack(states, 1)}


def _additive(query: Array, keys: Array, v: Array) -> Array:
    scores = np.zeros((len(query), keys.shape[1]))
    for n, r in np.ndindex(*scores.shape):
        scores[n, r] = sum(v * np.tanh(keys[n, r] + query[n]))
    return scores


def _additive_scores(query: Array, keys: Array, v: Array) -> Answers:
    return {"scores": _additive(query, keys, v)[:, None]}


def _additive_attention(h: Array, keys: Array, values: Array, Wh: Array, v: Array) -> Answers:
    scores = _additive(np.einsum("nh,ha->na", h, Wh), keys, v)
    weights = np.array([_softmax(row) for row in scores])
    return {"context": np.einsum("nr,nrd->nd", weights, values), "weights": weights}


def _visual_sentinel(x: Array, h: Array, m: Array, Wx: Array, Wh: Array) -> Answers:
    gate = _sigmoid(np.einsum("ne,eh->nh", x, Wx) + np.einsum("ng,gh->nh", h, Wh))
    return {"sentinel": gate * np.tanh(m)}


def _adaptive_attention(
    h: Array, s: Array, keys: Array, values: Array, Wg: Array, Ws: Array, w: Array
) -> Answers:
    query = np.einsum("nh,ha->na", h, Wg)
    away = np.tanh(np.einsum("nh,ha->na", s, Ws) + query)
    scores = [
        np.append(row, sum(w * one))
        for row, one in zip(_additive(query, keys, w), away, strict=True)
    ]
    shares = np.array([_softmax(row) for row in scores])
    weights, beta = shares[:, :-1], shares[:, -1]
    mean = np.einsum("nr,nrh->nh", weights / (1 - beta)[:, None], values)
    context = beta[:, None] * s + (1 - beta)[:, None] * mean  # Lu et al. 2017, equation 11
    return {"context": context, "weights": weights, "beta": beta}


def _take_regions(values: Array, region: Array) -> Answers:
    return {"z": np.array([values[n, int(place)] for n, place in enumerate(region)])}


def _multinoulli(weights: Array, region: Array) -> Answers:
    log_prob = [np.log(row[int(place)]) for row, place in zip(weights, region, strict=True)]
    entropy = [-sum(weight * np.log(weight) for weight in row) for row in weights]
    return {"log_prob": np.array(log_prob), "entropy": np.array(entropy)}


def _temporal_softmax_loss(scores: Array, targets: Array, ignore_index: int) -> Answers:
    total: Any = 0.0
    for n, t in np.ndindex(*targets.shape):
        if targets[n, t] != ignore_index:
            total -= np.log(_softmax(scores[n, t])[targets[n, t]])
    return {"loss": total / len(scores)}


def _doubly_stochastic_penalty(weights: Array, lengths: Array) -> Answers:
    total: Any = 0.0
    for n, length in enumerate(lengths):
        for r in range(weights.shape[2]):
            total += (1 - sum(weights[n, t, r] for t in range(int(length)))) ** 2
    return {"penalty": total / len(weights)}


def _reinforce(
    log_likelihood: Array,
    log_prob: Array,
    entropy: Array,
    baseline: float,
    reinforce_weight: float,
    entropy_weight: float,
) -> Answers:
    total: Any = 0.0
    for reward, place, unsure in zip(log_likelihood, log_prob, entropy, strict=True):
        total += reward + reinforce_weight * (reward - baseline) * place + entropy_weight * unsure
    return {"loss": -total / len(log_prob)}


def _moving_baseline(baseline: Array, log_likelihood: Array) -> Answers:
    return {"baseline": 0.9 * baseline + 0.1 * sum(log_likelihood) / len(log_likelihood)}


def _word_loss(scores: Array, targets: Array, label_smoothing: float, per: int) -> Answers:
    loss: Any = 0.0
    cross_entropy: Any = 0.0
    for row, target in zip(scores, targets, strict=True):
        minus = -np.log(_softmax(row))
        cross_entropy += minus[target]
        smooth = sum(minus) / len(minus)
        loss += (1 - label_smoothing) * minus[target] + label_smoothing * smooth
    return {"loss": loss / per, "cross_entropy": cross_entropy}


CHECKS: dict[str, Check] = {
    "dot_product_attention": Check({"h": _H, "A": _GRID}, _dot_product_attention),
    "attention_lstm_step": Check(
        {"x": _X, "h": _H, "c": _C, "context": _drawn(N, H, seed=19), **_ATTENTION_LSTM},
        _attention_lstm_step,
    ),
    "attention_lstm": Check({"x": _SEQUENCE, "A": _GRID, **_ATTENTION_LSTM}, _attention_lstm),
    "rnn_step": Check({"x": _X, "h": _H, **_RNN}, _rnn_step),
    "rnn": Check({"x": _SEQUENCE, "h0": _H, **_RNN}, _rnn),
    "rnn_backward": Check(
        {
            "dh": _DH,
            "x": _SEQUENCE,
            "h0": _H,
            "h": _rnn(_SEQUENCE, _H, **_RNN)["h"],
            "Wx": _RNN["Wx"],
            "Wh": _RNN["Wh"],
        },
        _rnn_backward,
    ),
    "temporal_softmax_loss": Check(
        {"scores": _SCORES, "targets": _TARGETS, "ignore_index": 0}, _temporal_softmax_loss
    ),
    "lstm_gates": Check({"a": _drawn(N, 4 * H, seed=20), "c": _C}, _lstm_gates),
    "lstm_step": Check({"x": _X, "h": _H, "c": _C, **_LSTM}, _lstm_step),
    "lstm": Check({"x": _SEQUENCE, "h0": _H, **_LSTM}, _lstm),
    "additive_scores": Check({"query": _QUERY, "keys": _KEYS, "v": _V}, _additive_scores),
    "additive_attention": Check(
        {"h": _H, "keys": _KEYS, "values": _VALUES, "Wh": _drawn(H, A, seed=21), "v": _V},
        _additive_attention,
    ),
    "doubly_stochastic_penalty": Check(
        {"weights": _distribution(N, T, R, seed=22), "lengths": np.array([4, 2, 3])},
        _doubly_stochastic_penalty,
    ),
    "take_regions": Check({"values": _VALUES, "region": np.array([0, 5, 2])}, _take_regions),
    "multinoulli": Check(
        {"weights": _distribution(N, R, seed=23), "region": np.array([5, 0, 3])}, _multinoulli
    ),
    "reinforce": Check(
        {
            "log_likelihood": _drawn(N, seed=24),
            "log_prob": _drawn(N, seed=25),
            "entropy": _drawn(N, seed=26),
            "baseline": -0.3,
            "reinforce_weight": 0.7,
            "entropy_weight": 0.01,
        },
        _reinforce,
    ),
    "moving_baseline": Check(
        {"baseline": np.array(-2.0), "log_likelihood": _drawn(N, seed=27)}, _moving_baseline
    ),
    "visual_sentinel": Check(
        {"x": _X, "h": _H, "m": _C, "Wx": _RNN["Wx"], "Wh": _RNN["Wh"]}, _visual_sentinel
    ),
    "adaptive_attention": Check(
        {
            "h": _H,
            "s": _C,
            "keys": _KEYS,
            "values": _VALUES,
            "Wg": _drawn(H, A, seed=28),
            "Ws": _drawn(H, A, seed=29),
            "w": _V,
        },
        _adaptive_attention,
    ),
    "word_loss": Check(
        {
            "scores": _SCORES[0],
            "targets": _TARGETS[0],
            "label_smoothing": 0.1,
            "per": 2,
        },
        _word_loss,
        lambda result: (result.loss, result.cross_entropy),
    ),
}
