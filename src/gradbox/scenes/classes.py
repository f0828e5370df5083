"""The classes: what draws an object, and how far it may be turned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gradbox.scenes import creatures, plants, things
from gradbox.scenes.colours import Colours
from gradbox.scenes.sprites import Part


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One class. An object is turned by at most `tilt` degrees to either side."""

    draw: Callable[[np.random.Generator, Colours], list[Part]]
    tilt: float = 18.0


KINDS: Mapping[str, Kind] = {
    "balloon": Kind(draw=things.balloon),
    "bird": Kind(draw=creatures.bird, tilt=22.0),
    "butterfly": Kind(draw=creatures.butterfly, tilt=180.0),
    "cactus": Kind(draw=plants.cactus, tilt=12.0),
    "fish": Kind(draw=creatures.fish, tilt=40.0),
    "house": Kind(draw=things.house, tilt=8.0),
    "key": Kind(draw=things.key, tilt=180.0),
    "ladybird": Kind(draw=creatures.ladybird, tilt=180.0),
    "leaf": Kind(draw=plants.leaf, tilt=180.0),
    "mushroom": Kind(draw=plants.mushroom),
    "sailboat": Kind(draw=things.sailboat, tilt=16.0),
    "snail": Kind(draw=creatures.snail),
    "starfish": Kind(draw=creatures.starfish, tilt=180.0),
    "teapot": Kind(draw=things.teapot, tilt=20.0),
    "umbrella": Kind(draw=things.umbrella, tilt=40.0),
}
