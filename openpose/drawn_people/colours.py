"""Random colours of skin, hair, clothes and surroundings."""

import colorsys

import numpy as np

Rng = np.random.Generator
Array = np.ndarray
Colour = tuple[float, ...]  # RGB, 0 to 255

SKINS = ((244, 206, 174), (236, 188, 146), (224, 172, 125), (198, 134, 86), (141, 85, 52), (96, 58, 40))
HAIRS = (
    (35, 28, 26),
    (68, 44, 30),
    (108, 70, 40),
    (150, 98, 52),
    (214, 176, 104),
    (160, 64, 34),
    (178, 176, 174),
)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    return tuple(255 * c for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def cloth(rng: Rng) -> Colour:
    """A clear colour, so that people stand out from paler backgrounds; now and then white, grey or black."""
    if rng.random() < 0.2:
        return hsv(rng.random(), 0.06, rng.choice([0.2, 0.5, 0.96]))
    return hsv(rng.random(), rng.uniform(0.55, 0.9), rng.uniform(0.45, 0.92))


def pale(rng: Rng, low: float = 0.55, high: float = 0.95) -> Colour:
    return hsv(rng.random(), rng.uniform(0.04, 0.32), rng.uniform(low, high))
