"""The writer: true sentences about a scene, as different people might say them.

Each pattern is a function that is given a scene and dice, and returns a sentence, or None where
the scene gives no occasion for it. A sentence leaves things out as it likes, but

- what it counts it counts exactly, and "the" picks out the only thing of its description;
- relations and places are stated only where they are clear (`cutline.data.scenes.facts`);
- things that are listed are listed from left to right.

>>> from cutline.data.scenes.scene import Scene
>>> len(set(captions(Scene.from_seed(17))))
5
"""

from collections.abc import Callable
from itertools import accumulate

from cutline.data.scenes.descriptions import (
    NUMBER_WORDS,
    Description,
    describe,
    describe_as_only_one,
)
from cutline.data.scenes.dice import Dice
from cutline.data.scenes.facts import in_place, related
from cutline.data.scenes.scene import Scene, Thing
from cutline.data.scenes.words import DIRECTIONS, PLACES, plural
from cutline.errors import UsageError

__all__ = ["captions"]

Pattern = Callable[[Scene, Dice], str | None]

_TRIES = 100


def captions(scene: Scene, n: int = 5) -> tuple[str, ...]:
    """Return `n` different true captions; fewer captions are the beginning of more."""
    if not 1 <= len(scene.things) <= len(NUMBER_WORDS):
        raise UsageError(f"captions are for one to three things, not {len(scene.things)}.")
    dice = Dice(scene.seed, 1)
    found: dict[str, None] = {}
    for _ in range(_TRIES * n):
        if len(found) == n:
            break
        sentence = dice.weighted(_PATTERNS, _CUMULATIVE)(scene, dice)
        if sentence is not None:
            found[sentence] = None
    if len(found) == n:
        return tuple(found)
    raise UsageError(f"scene {scene.seed} has fewer than {n} captions; ask for five or so.")


def _listing(scene: Scene, dice: Dice) -> str | None:
    """List the things: "a large red circle and a star", "there are two green stars"."""
    opening = dice.choice(("", "", "there", "a picture of "))
    shown = sorted(scene.things, key=lambda thing: thing.x)
    if len(shown) == 3 and dice.chance(0.6):
        shown.remove(dice.choice(shown))
    # One manner for the whole list: "a red star and a star" would sound like two red stars.
    size, colour = dice.chance(0.3), dice.chance(0.85)
    groups: dict[Description, int] = {}
    for thing in shown:
        description = Description(
            thing.size if size else "", thing.colour if colour else "", thing.shape
        )
        groups[description] = groups.get(description, 0) + 1
    phrases = []
    for description, number in groups.items():
        if number == 1:
            phrases.append(description.indefinite())
        elif number == description.count(scene):
            phrases.append(description.counted(number))
        else:
            return None
    if opening == "there":
        opening = "there are " if next(iter(groups.values())) > 1 else "there is "
    if len(phrases) == 3:
        return f"{opening}{phrases[0]} with {phrases[1]} and {phrases[2]}"
    return opening + " and ".join(phrases)


def _relation(scene: Scene, dice: Dice) -> str | None:
    """Relate two things: "a circle left of a star", "the red circle sits above the star"."""
    things = list(scene.things)
    if len(things) < 2:
        return None
    subject, target = things.pop(int(dice.uniform(0, len(things)))), dice.choice(things)
    direction = _clear_direction(subject, target)
    if direction is None:
        return None
    relation = dice.choice(DIRECTIONS[direction])
    if dice.chance(0.4):
        first = describe_as_only_one(subject, scene, dice)
        second = describe_as_only_one(target, scene, dice)
        if first is None or second is None:
            return None
        verb = dice.choice(("is", "sits"))
        return f"the {first.words()} {verb} {relation} the {second.words()}"
    one, other = describe(subject, dice), describe(target, dice)
    if one.fits(target) or other.fits(subject):
        return None
    opening = dice.choice(("", "", "there is "))
    return f"{opening}{one.indefinite()} {relation} {other.indefinite()}"


def _relation_of_two(scene: Scene, dice: Dice) -> str | None:
    """Relate two of a kind to the third: "two stars above a red circle"."""
    if len(scene.things) != 3:
        return None
    target = dice.choice(scene.things)
    first, second = (thing for thing in scene.things if thing is not target)
    direction = _clear_direction(first, target)
    if direction is None or direction != _clear_direction(second, target):
        return None
    both = Description("", first.colour if first.colour == second.colour else "", first.shape)
    other = describe(target, dice)
    if not both.fits(second) or both.fits(target) or other.fits(first) or other.fits(second):
        return None
    relation = dice.choice(DIRECTIONS[direction])
    return f"{both.counted(2)} {relation} {other.indefinite()}"


def _clear_direction(a: Thing, b: Thing) -> str | None:
    return next((word for word in DIRECTIONS if related(word, a, b, clearly=True)), None)


def _place(scene: Scene, dice: Dice) -> str | None:
    """Place one thing: "a red circle in the middle", "the star is near the left edge"."""
    thing = dice.choice(scene.things)
    clear = [words for place, words in PLACES.items() if in_place(place, thing, clearly=True)]
    if not clear:
        return None
    # Corners come first in PLACES: who sees a corner does not call it an edge.
    if dice.chance(0.5):
        description = describe_as_only_one(thing, scene, dice)
        return None if description is None else f"the {description.words()} is {clear[0]}"
    opening = dice.choice(("", "", "there is "))
    return f"{opening}{describe(thing, dice).indefinite()} {clear[0]}"


def _count(scene: Scene, dice: Dice) -> str | None:
    """Count: "there are three shapes in the picture", "two shapes and one is a red star"."""
    everything = len(scene.things)
    if everything == 1:
        return None
    # Rarely: it is one sentence for all scenes, and a search for likely captions would pick it.
    if dice.chance(0.1):
        return f"there are {NUMBER_WORDS[everything]} shapes in the picture"
    if dice.chance(0.4):
        member = describe_as_only_one(dice.choice(scene.things), scene, dice)
        if member is None:
            return None
        return f"{NUMBER_WORDS[everything]} shapes and one is {member.indefinite()}"
    shared = _shared(scene, dice)
    number = shared.count(scene)
    if number < 2 or (shared.noun == "shape" and not (shared.size or shared.colour)):
        return None
    return dice.choice(("", "there are ")) + shared.counted(number)


def _quality(scene: Scene, dice: Dice) -> str | None:
    """Give a colour or a size: "the star is red", "both shapes are small"."""
    thing = dice.choice(scene.things)
    quality = thing.colour if dice.chance(0.7) else thing.size
    if dice.chance(0.6):
        size = thing.size if quality != thing.size and dice.chance(0.3) else ""
        description = Description(size, "", thing.shape)
        unique = description.count(scene) == 1
        return f"the {description.words()} is {quality}" if unique else None
    noun = dice.choice((thing.shape, "shape"))
    description = Description("", "", noun)
    number = description.count(scene)
    fitting = [other for other in scene.things if description.fits(other)]
    if number < 2 or any(quality not in (other.colour, other.size) for other in fitting):
        return None
    return f"{'both' if number == 2 else 'all three'} {plural(noun)} are {quality}"


def _only(scene: Scene, dice: Dice) -> str | None:
    """Say of a lonely thing that it is one: "only a large red circle", "one red circle"."""
    if len(scene.things) > 1:
        return None
    description = describe(scene.things[0], dice)
    if dice.chance(0.2):
        return f"one {description.words()}"
    return dice.choice(("only ", "there is only ")) + description.indefinite()


def _shared(scene: Scene, dice: Dice) -> Description:
    """Describe one thing by little enough that others may fit."""
    thing = dice.choice(scene.things)
    noun = thing.shape if dice.chance(0.5) else "shape"
    colour = thing.colour if dice.chance(0.5) else ""
    return Description(thing.size if dice.chance(0.3) else "", colour, noun)


_WEIGHTS: dict[Pattern, float] = {
    _listing: 5,
    _relation: 5,
    _relation_of_two: 4,
    _place: 2.5,
    _count: 2,
    _quality: 1.5,
    _only: 1.5,
}
_PATTERNS = tuple(_WEIGHTS)
_CUMULATIVE = tuple(accumulate(_WEIGHTS.values()))
