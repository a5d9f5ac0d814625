"""A scene: one to three coloured things on a muted background, all drawn from a seed.

Lengths are in units of the picture's side, from 0 (left, top) to 1 (right, bottom), so that a
scene is the same scene at every size.
"""

from dataclasses import dataclass
from math import acos, ceil, floor, hypot, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from cutline.data.scenes.dice import Dice
from cutline.data.scenes.outlines import coverage, outline
from cutline.data.scenes.words import COLOURS, SHAPES, SIZES
from cutline.errors import UsageError, did_you_mean

__all__ = ["BACKGROUNDS", "Background", "Scene", "Thing"]

BACKGROUNDS = ("noise", "stripes", "gradient", "checks")

# The two ranges are far apart, so that a size is never a matter of opinion.
_RADII = {"small": (0.13, 0.145), "large": (0.204, 0.225)}
# No thing loses more than this share of itself to the border and to the things before it.
# `_lost` overestimates for most outlines; measured on masks, at least 60 % remains.
_MOST_LOST = 0.32
_TRIES = 24


@dataclass(frozen=True, slots=True)
class Thing:
    """One coloured shape: its centre (x, y), its radius, its tilt in degrees.

    `shade` from -1 to 1 makes its colour a little darker or lighter.
    """

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    tilt: float = 0.0
    shade: float = 0.0

    def __post_init__(self) -> None:
        for what, given, allowed in (
            ("shape", self.shape, SHAPES),
            ("colour", self.colour, COLOURS),
            ("size", self.size, SIZES),
        ):
            if given not in allowed:
                raise UsageError(f"no {what} is called '{given}'; {did_you_mean(given, allowed)}.")


@dataclass(frozen=True, slots=True)
class Background:
    """A texture of two muted tones.

    `tone` is hue, saturation and value (0..1); `contrast` is how far the second tone's value is
    from the first's; `angle` (radians) and `period` (picture sides) lay the pattern out.
    """

    kind: str
    tone: tuple[float, float, float]
    contrast: float
    angle: float
    period: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Things in the order in which they are drawn (later ones lie in front), and a background."""

    things: tuple[Thing, ...]
    background: Background
    seed: int

    @classmethod
    def from_seed(cls, seed: int) -> "Scene":
        """Draw the scene of this seed (a whole number from 0)."""
        if seed < 0:
            raise UsageError(f"a scene's seed is a whole number from 0, not {seed}.")
        dice = Dice(seed)
        return cls(things=_things(dice), background=_background(dice), seed=seed)

    def boxes(self, side: int) -> list[tuple[int, int, int, int]]:
        """Return each thing's (left, top, right, bottom) in pixels of a picture of this side.

        Cut at the border, but not by the things in front.
        """
        boxes = []
        for thing in self.things:
            corners = outline(thing.shape, thing.x, thing.y, thing.radius, thing.tilt) * side
            left, top = corners.min(axis=0)
            right, bottom = corners.max(axis=0)
            boxes.append(
                (
                    max(floor(left), 0),
                    max(floor(top), 0),
                    min(ceil(right), side),
                    min(ceil(bottom), side),
                )
            )
        return boxes

    def masks(self, side: int) -> NDArray[np.bool_]:
        """Return the pixels in which each thing is seen, (things, side, side).

        A pixel belongs to the thing that covers at least half of it, the foremost one if several
        do.
        """
        masks = np.zeros((len(self.things), side, side), dtype=bool)
        for index, thing in enumerate(self.things):
            body = coverage(thing.shape, thing.x, thing.y, thing.radius, thing.tilt, side)
            masks[index] = np.asarray(body) >= 128
            masks[:index] &= ~masks[index]
        return masks


def _things(dice: Dice) -> tuple[Thing, ...]:
    """Draw one to three things, each of which stays recognisable."""
    things: list[Thing] = []
    lost: list[float] = []
    for _ in range(dice.weighted((1, 2, 3), (0.42, 0.84, 1.0))):
        shape, colour, size = dice.choice(SHAPES), dice.choice(COLOURS), dice.choice(SIZES)
        # Now and then a thing is like the one before it, so that there are two of a kind.
        if things and dice.chance(0.15):
            shape = things[-1].shape
        if things and dice.chance(0.15):
            colour = things[-1].colour
        radius = dice.uniform(*_RADII[size])
        tilt, shade = dice.uniform(-12, 12), dice.uniform(-1, 1)
        for _ in range(_TRIES):
            x = dice.uniform(0.3 * radius, 1 - 0.3 * radius)
            y = dice.uniform(0.3 * radius, 1 - 0.3 * radius)
            cut = sum(_lost(edge / radius) for edge in (x, y, 1 - x, 1 - y))
            hidden = [
                share + _lost((hypot(x - other.x, y - other.y) - radius) / other.radius)
                for share, other in zip(lost, things, strict=True)
            ]
            if max([cut, *hidden]) <= _MOST_LOST:
                things.append(Thing(shape, colour, size, x, y, radius, tilt, shade))
                lost = [*hidden, cut]
                break
    return tuple(things)


def _lost(distance: float) -> float:
    """Return the share of a disc beyond a line at this distance (in radii) from its centre.

    It is a bound for every outline, whether the line is the border or is drawn between the disc
    and something in front of it.
    """
    if distance >= 1:
        return 0.0
    if distance <= -1:
        return 1.0
    return (acos(distance) - distance * sqrt(1 - distance * distance)) / pi


def _background(dice: Dice) -> Background:
    return Background(
        kind=dice.choice(BACKGROUNDS),
        tone=(dice.uniform(0, 1), dice.uniform(0.06, 0.24), dice.uniform(0.47, 0.66)),
        contrast=dice.uniform(0.06, 0.12) * dice.choice((-1, 1)),
        angle=dice.uniform(0, pi),
        period=dice.uniform(0.12, 0.3),
    )
