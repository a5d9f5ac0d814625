"""The judge: whether a caption is true of a scene, and which things its words denote.

A phrase denotes a thing ("a red circle": any of the red circles; "the red circle": the only one)
or all things of its description, which must be as many as it says ("two stars"). A caption is
true when its phrases can be given different things such that every stated fact holds; "only"
states that nothing else is in the picture. What a word may denote is what it denotes in any of
the ways that make the caption true.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, product

from cutline.data.scenes.facts import in_place, related
from cutline.data.scenes.reader import Among, Fact, Phrase, Place, Quality, Reading, Relation, read
from cutline.data.scenes.scene import Scene, Thing

__all__ = ["grounding", "is_true"]

# For each phrase, the indices of the things it denotes.
Assignment = tuple[tuple[int, ...], ...]


def is_true(caption: str, scene: Scene) -> bool:
    """Say whether every fact that a caption states holds; an unreadable caption is not true."""
    reading = read(caption)
    return reading.readable and any(True for _ in _assignments(reading, scene))


def grounding(words: Sequence[str], scene: Scene) -> dict[int, tuple[int, ...]]:
    """Return, for each object word's index in a caption, the indices of the things it may denote.

    Object words are the nouns of shapes ("circle", "stars"), not the word "shape" itself. In a
    caption that is false or unreadable, a noun may denote whatever fits its own phrase; where
    nothing fits, nothing.
    """
    reading = read(" ".join(words))
    ways: list[Assignment] = list(_assignments(reading, scene)) if reading.readable else []
    if not ways:
        ways = [tuple(_fitting(phrase, scene) for phrase in reading.phrases)]
    denoted = {}
    for index, phrase in enumerate(reading.phrases):
        if phrase.noun != "shape":
            denoted[phrase.end - 1] = tuple(sorted({thing for way in ways for thing in way[index]}))
    return denoted


def _assignments(reading: Reading, scene: Scene) -> Iterator[Assignment]:
    """Go through the ways to give things to phrases that make the whole caption true."""
    for way in product(*(_denotations(phrase, scene) for phrase in reading.phrases)):
        if (
            _separate(reading.facts, way)
            and (not reading.only or len(set(chain(*way))) == len(scene.things))
            and all(_holds(fact, way, reading, scene) for fact in reading.facts)
        ):
            yield way


def _denotations(phrase: Phrase, scene: Scene) -> list[tuple[int, ...]]:
    fitting = _fitting(phrase, scene)
    if phrase.count is None:
        return [(index,) for index in fitting]
    return [fitting] if len(fitting) == phrase.count else []


def _fitting(phrase: Phrase, scene: Scene) -> tuple[int, ...]:
    return tuple(index for index, thing in enumerate(scene.things) if _fits(phrase, thing))


def _fits(phrase: Phrase, thing: Thing) -> bool:
    return (
        phrase.noun in (thing.shape, "shape")
        and phrase.colour in (thing.colour, "")
        and phrase.size in (thing.size, "")
    )


def _separate(facts: Sequence[Fact], way: Assignment) -> bool:
    """Say whether no thing is denoted twice, except by a phrase that picks from another."""
    if any(isinstance(fact, Among) for fact in facts):
        return True
    return len(set(chain(*way))) == sum(map(len, way))


def _holds(fact: Fact, way: Assignment, reading: Reading, scene: Scene) -> bool:
    things = scene.things
    match fact:
        case Relation(direction, subject, target):
            return all(
                related(direction, things[a], things[b])
                for a, b in product(way[subject], way[target])
            )
        case Place(place, subject):
            return all(in_place(place, things[index]) for index in way[subject])
        case Quality(word, subject):
            return all(word in (things[index].colour, things[index].size) for index in way[subject])
        case Among(member, whole):
            fitting = [i for i in way[whole] if _fits(reading.phrases[member], things[i])]
            return fitting == list(way[member])
