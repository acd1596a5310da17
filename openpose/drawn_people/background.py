"""Backgrounds: outdoors, indoors or a studio, with noise and clutter."""

import cv2
import numpy as np

from openpose.drawn_people.colours import SKINS, Array, Rng, cloth, hsv, pale
from openpose.drawn_people.paint import SHIFT, Shape, fill, gradient, hull, paint_shape, rectangle


def _soft_noise(rng: Rng, size: int, cells: int, amount: float) -> Array:
    coarse = rng.normal(0, amount, (cells, cells, 1)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]


def _outdoors(rng: Rng, image: Array, horizon: int) -> None:
    size = len(image)
    sky = rng.uniform(0.54, 0.62)
    image[:horizon] = gradient(horizon, size, hsv(sky, rng.uniform(0.2, 0.5), 0.95), hsv(sky + 0.02, 0.08, 1.0))
    for _ in range(rng.integers(0, 4)):  # clouds
        x, y, r = rng.uniform(0, size), rng.uniform(0, horizon * 0.7), rng.uniform(0.02, 0.05) * size
        for k in range(4):
            fill(image, hull([(np.array([x + k * r, y + rng.uniform(-0.4, 0.4) * r]), r)]), (252, 252, 255))
    green = rng.uniform(0.2, 0.38)
    if rng.random() < 0.5:  # hills
        for k in range(3):
            x, r = rng.uniform(0, size), rng.uniform(0.3, 0.8) * size
            tone = hsv(green + 0.08, 0.3, 0.8 - 0.08 * k)
            fill(image, hull([(np.array([x, horizon + r * rng.uniform(0.7, 0.9)]), r)]), tone)
    else:  # houses
        x = -rng.uniform(0, 0.1) * size
        while x < size:
            width, height = rng.uniform(0.1, 0.22) * size, rng.uniform(0.1, 0.5) * horizon
            wall = pale(rng, 0.6, 0.85)
            rectangle(image, x, horizon - height, x + width, horizon, wall)
            for wy in np.arange(horizon - height + 0.03 * size, horizon - 0.03 * size, 0.055 * size):
                for wx in np.arange(x + 0.02 * size, x + width - 0.03 * size, 0.045 * size):
                    rectangle(image, wx, wy, wx + 0.02 * size, wy + 0.03 * size, tuple(0.8 * c for c in wall))
            x += width + rng.choice([0, 0.03]) * size
    for _ in range(rng.integers(0, 4)):  # trees
        x, r = rng.uniform(0, size), rng.uniform(0.05, 0.1) * size
        rectangle(image, x - 0.16 * r, horizon - 2.2 * r, x + 0.16 * r, horizon, (122, 92, 66))
        leaves = hsv(green + rng.uniform(-0.04, 0.06), 0.42, rng.uniform(0.5, 0.68))
        crown = [[(np.array([x + dx * r, horizon - dy * r]), 0.75 * r)] for dx, dy in ((-0.5, 2), (0.5, 2.1), (0, 2.8))]
        paint_shape(image, Shape(leaves, crown))
    ground = [hsv(green, 0.35, 0.72), hsv(0.1, 0.22, 0.82), hsv(0.6, 0.05, 0.7)][rng.integers(3)]
    image[horizon:] = gradient(size - horizon, size, ground, tuple(0.82 * c for c in ground))


def _indoors(rng: Rng, image: Array, horizon: int) -> None:
    size = len(image)
    wall = hsv(rng.random(), rng.uniform(0.03, 0.24), rng.uniform(0.7, 0.97))
    image[:horizon] = gradient(horizon, size, wall, tuple(0.93 * c for c in wall))
    if rng.random() < 0.5:  # wallpaper
        step, tone = rng.uniform(0.05, 0.16) * size, tuple(rng.uniform(0.92, 0.97) * c for c in wall)
        for x in np.arange(rng.uniform(0, step), size, step):
            rectangle(image, x, 0, x + step / 2, horizon, tone)
    for _ in range(rng.integers(0, 4)):  # pictures and windows
        x, y = rng.uniform(0, 0.85) * size, rng.uniform(0.02, 0.5) * horizon
        w, h, rim = rng.uniform(0.1, 0.3) * size, rng.uniform(0.1, 0.3) * size, 0.012 * size
        rectangle(image, x, y, x + w, y + h, hsv(0.08, 0.4, rng.uniform(0.4, 0.9)))
        rectangle(image, x + rim, y + rim, x + w - rim, y + h - rim, pale(rng))
        if rng.random() < 0.5:
            rectangle(image, x + w / 2 - rim / 2, y + rim, x + w / 2 + rim / 2, y + h - rim, (245, 245, 240))
    floor = hsv(rng.uniform(0.04, 0.13), rng.uniform(0.15, 0.5), rng.uniform(0.5, 0.8))
    image[horizon:] = gradient(size - horizon, size, floor, tuple(0.85 * c for c in floor))
    centre = rng.uniform(0.3, 0.7) * size
    for x in np.arange(-2 * size, 3 * size, 0.22 * size):  # floorboards run to a vanishing point
        a, b = (centre + (x - centre) * 0.45, horizon), (x, size)
        ends = [tuple(round(v * 2**SHIFT) for v in end) for end in (a, b)]
        cv2.line(image, ends[0], ends[1], tuple(0.85 * c for c in floor), 1, cv2.LINE_AA, SHIFT)
    rectangle(image, 0, horizon - 0.02 * size, size, horizon, tuple(0.8 * c for c in wall))


def _studio(rng: Rng, image: Array, horizon: int) -> None:
    size = len(image)
    image[:] = gradient(size, size, pale(rng), pale(rng))
    if rng.random() < 0.5:
        image[:] = image.transpose(1, 0, 2).copy()
    tone = pale(rng)
    kind = rng.integers(3)
    for _ in range(rng.integers(3, 9)):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.05, 0.25) * size
        if kind == 0:
            fill(image, hull([(np.array([x, y]), r)]), pale(rng))
        elif kind == 1:
            rectangle(image, x - r, y - r * 0.7, x + r, y + r * 0.7, pale(rng))
        else:
            fill(image, hull([(np.array([x - size, y]), r / 5), (np.array([x + size, y + r]), r / 5)]), tone)


def _clutter(rng: Rng, image: Array, difficulty: float) -> None:
    """Paints sticks and balls in colours of people, so that colour and roundness alone do not mark a person."""
    size = len(image)
    for _ in range(rng.poisson(20 * max(0.0, difficulty - 0.28))):
        colour = SKINS[rng.integers(len(SKINS))] if rng.random() < 0.3 else cloth(rng)
        a = rng.uniform(0, size, 2)
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.3) * size
        r = rng.uniform(0.008, 0.035) * size
        b = a + length * np.array([np.cos(angle), np.sin(angle)])
        piece = [(a, r), (b, r * rng.uniform(0.6, 1))] if rng.random() < 0.7 else [(a, 1.5 * r)]
        fill(image, hull(piece, 1, 0.5), colour, 0.45)
        paint_shape(image, Shape(colour, [piece]))


def paint_background(rng: Rng, size: int, horizon: float, difficulty: float) -> Array:
    """Paints a random background: RGB uint8 [size, size, 3], with the ground from row `horizon` down."""
    image = np.zeros((size, size, 3), np.uint8)
    kinds = (_outdoors, _indoors, _studio)
    row = int(np.clip(horizon, 0.25 * size, 0.85 * size))
    kinds[rng.choice(3, p=[0.4, 0.36, 0.24])](rng, image, row)
    noise = _soft_noise(rng, size, int(rng.uniform(3, 10 + 20 * difficulty)), rng.uniform(1, 4 + 10 * difficulty))
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    _clutter(rng, image, difficulty)
    return image
