"""An independent judge of captions, and scenes built by hand.

The judge shares no code with the reader: it takes sentences apart with regular expressions and
tries every order of the things. It returns None for sentences it does not know.
"""

import re
from itertools import permutations

from cutline.data.scenes import Background, Scene, Thing

PLAIN = Background("gradient", (0.5, 0.1, 0.6), 0.1, 0.0, 0.2)
MANY = {"one": 1, "the": 1, "two": 2, "both": 2, "three": 3, "all three": 3}

NOUNS = "circles? squares? triangles? stars? cross(?:es)? hearts? shapes?".replace(" ", "|")
PHRASE = rf"((?:all three|an?|the|one|two|three|both)(?: \w+){{0,2}}? (?:{NOUNS}))"
BE = r"(?: is| are| sits| sit)?"
RELATION = r"((?:to the )?left of|(?:to the )?right of|above|below)"
PLACE = (
    r"(?:in|near) the (middle|(?:top|bottom) (?:left|right) corner|(?:left|right|top|bottom) edge)"
)


def thing(words: str, x: float, y: float) -> Thing:
    """Make "large red circle" at a place."""
    size, colour, shape = words.split()
    return Thing(shape, colour, size, x, y, 0.2 if size == "large" else 0.1)


def scene_of(*things: Thing) -> Scene:
    return Scene(things=things, background=PLAIN, seed=0)


def judge(caption: str, scene: Scene) -> bool | None:
    """Say whether a caption is true, by brute force."""
    body = re.sub(r"^(there (is|are) |a picture of )", "", caption)
    only = body.startswith("only ")
    body = re.sub(r" in the picture$", "", body.removeprefix("only "))
    for pattern, holds in SENTENCES.items():
        if found := re.fullmatch(pattern, body):
            parts = [part for part in found.groups() if part]
            return holds(parts, scene.things, only)
    return None


def among_holds(parts, things, only):
    whole, member = parts
    among = [it for it in things if fits(whole, it)]
    return counts(whole, things) and sum(fits(member, it) for it in among) == 1


def quality_holds(parts, things, only):
    phrase, word = parts
    fitting = [word in (it.colour, it.size) for it in things if fits(phrase, it)]
    return counts(phrase, things) and agreed(phrase, fitting, only, things)


def place_holds(parts, things, only):
    phrase, place = parts
    fitting = [inside(place, it) for it in things if fits(phrase, it)]
    return counts(phrase, things) and agreed(phrase, fitting, only, things)


def listing_holds(phrases, things, only):
    """Deal the things out in every order: each phrase takes as many as it speaks of."""
    if not all(counts(phrase, things) for phrase in phrases):
        return False
    slots = [phrase for phrase in phrases for _ in range(number(phrase))]
    if len(slots) > len(things) or (only and len(slots) != len(things)):
        return False
    return any(
        all(fits(slot, it) for slot, it in zip(slots, order, strict=False))
        for order in permutations(things)
    )


def relation_holds(parts, things, only):
    subject, relation, target = parts
    if not counts(subject, things) or not counts(target, things):
        return False
    side = next(word for word in ("left", "right", "above", "below") if word in relation)
    pairs = [
        [beside(side, one, other) for one in things if fits(subject, one) and one is not other]
        for other in things
        if fits(target, other)
    ]
    if number(target) > 1:
        return all(len(row) and all(row) for row in pairs) if number(subject) > 1 else None
    wanted = number(subject)
    full = not only or wanted + 1 == len(things)
    return full and any(
        (any(row) if wanted == 1 else len(row) == wanted and all(row)) for row in pairs
    )


def agreed(phrase, holds, only, things):
    full = not only or number(phrase) == len(things)
    return full and (all(holds) if number(phrase) > 1 else any(holds))


def number(phrase: str) -> int:
    return MANY.get(determiner(phrase), 1)


def determiner(phrase: str) -> str:
    return "all three" if phrase.startswith("all three") else phrase.split(maxsplit=1)[0]


def counts(phrase: str, things) -> bool:
    fitting = sum(fits(phrase, it) for it in things)
    exact = MANY.get(determiner(phrase))
    return fitting >= 1 if exact is None else fitting == exact


def fits(phrase: str, it: Thing) -> bool:
    words = phrase.removeprefix(determiner(phrase)).split()
    noun = words.pop()
    names = {it.shape, it.shape + "s", it.shape + "es", "shape", "shapes"}
    return noun in names and all(word in (it.colour, it.size) for word in words)


def beside(side: str, a: Thing, b: Thing) -> bool:
    right, down = b.x - a.x, b.y - a.y
    if side in ("left", "right"):
        ahead = right if side == "left" else -right
        return ahead >= 0.10 and ahead >= abs(down) / 2
    ahead = down if side == "above" else -down
    return ahead >= 0.10 and ahead >= abs(right) / 2


def inside(place: str, it: Thing) -> bool:
    if place == "middle":
        return 0.3 <= it.x <= 0.7 and 0.3 <= it.y <= 0.7
    reach = 0.40 if place.endswith("corner") else 0.33
    return (
        ("left" not in place or it.x <= reach)
        and ("right" not in place or it.x >= 1 - reach)
        and ("top" not in place or it.y <= reach)
        and ("bottom" not in place or it.y >= 1 - reach)
    )


SENTENCES = {
    rf"{PHRASE} and one is {PHRASE}": among_holds,
    rf"{PHRASE} (?:is|are) (\w+)": quality_holds,
    rf"{PHRASE}{BE} {PLACE}": place_holds,
    rf"{PHRASE}{BE} {RELATION} {PHRASE}": relation_holds,
    rf"{PHRASE}(?: (?:and|with) {PHRASE})?(?: (?:and|with) {PHRASE})?": listing_holds,
}
