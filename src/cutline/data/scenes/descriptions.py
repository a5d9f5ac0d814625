"""Descriptions of things: noun, colour, size, as few of them as are needed or liked."""

from typing import NamedTuple

from cutline.data.scenes.dice import Dice
from cutline.data.scenes.scene import Scene, Thing
from cutline.data.scenes.words import NUMBERS, article, plural

__all__ = ["NUMBER_WORDS", "Description", "describe", "describe_as_only_one"]

NUMBER_WORDS = {count: word for word, count in NUMBERS.items()}


class Description(NamedTuple):
    """Size, colour and noun; what is empty is not mentioned."""

    size: str
    colour: str
    noun: str

    def count(self, scene: Scene) -> int:
        """Count the things it fits."""
        return sum(self.fits(thing) for thing in scene.things)

    def fits(self, thing: Thing) -> bool:
        """Say whether the thing is as described."""
        return (
            self.noun in (thing.shape, "shape")
            and self.colour in (thing.colour, "")
            and self.size in (thing.size, "")
        )

    def words(self, number: int = 1) -> str:
        """Return it without a determiner, in the plural where `number` is not 1."""
        noun = self.noun if number == 1 else plural(self.noun)
        return " ".join(filter(None, (self.size, self.colour, noun)))

    def indefinite(self) -> str:
        """Return "a red circle"."""
        words = self.words()
        return f"{article(words)} {words}"

    def counted(self, number: int) -> str:
        """Return "two red circles"."""
        return f"{NUMBER_WORDS[number]} {self.words(number)}"


def describe(thing: Thing, dice: Dice) -> Description:
    """Describe a thing by its shape, mostly by its colour, and now and then by its size."""
    size = thing.size if dice.chance(0.4) else ""
    colour = thing.colour if dice.chance(0.85) else ""
    return Description(size, colour, thing.shape)


def describe_as_only_one(thing: Thing, scene: Scene, dice: Dice) -> Description | None:
    """Describe a thing so that nothing else in the scene fits; None where that is impossible."""
    wanted = describe(thing, dice)
    for description in (
        wanted,
        wanted._replace(colour=thing.colour),
        wanted._replace(size=thing.size, colour=thing.colour),
    ):
        if description.count(scene) == 1:
            return description
    return None
