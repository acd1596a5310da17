"""A scene: who stands where, in front of what."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from openpose.drawn_people.background import paint_background
from openpose.drawn_people.body import paint_person
from openpose.drawn_people.colours import Array, Rng
from openpose.drawn_people.doll import Person, random_person
from openpose.drawn_people.paint import Shape, fill, hull, paint_shape
from openpose.errors import InputError


@dataclass(frozen=True)
class Sample:
    """What to draw; the same values give the same bytes.

    Raises:
        InputError: a value is out of range.
    """

    seed: int = 0
    """The same seed draws the same bytes."""
    train: int = 1600
    """Number of pictures in train2017."""
    val: int = 150
    """Number of pictures in val2017."""
    size: int = 256
    """Width and height of the pictures in pixels."""
    difficulty: float = 0.1
    """0 (calm, large, apart) to 1 (cluttered, small, overlapping, odd poses)."""

    def __post_init__(self) -> None:
        # In pictures below 96 pixels hardly anyone reaches the area from which COCO labels keypoints.
        limits = {"seed": (0, 2**32 - 1), "train": (1, 500_000), "val": (1, 500_000), "size": (96, 2048)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)}; give a whole number from {low} to {high}")
        if not 0 <= self.difficulty <= 1:
            raise InputError(f"difficulty is {self.difficulty}; give a number from 0 (easy) to 1 (hard)")


def _mix(easy: Sequence[float], hard: Sequence[float], difficulty: float) -> Array:
    share = difficulty**1.5
    weights = np.array(easy) * (1 - share) + np.array(hard) * share
    return weights / weights.sum()


def _scales(rng: Rng, count: int, sample: Sample) -> list[float]:
    """Heights of `count` people in pixels, the largest first."""
    hard = sample.difficulty
    largest = sample.size * (0.5 + 0.47 * rng.beta(2.4, 1.2))
    largest *= {1: 1.0, 2: 0.97, 3: 0.9}.get(count, 0.8)
    tail = rng.random()
    if tail < 0.04 + 0.3 * hard**1.5:
        largest = sample.size * rng.uniform(30 / 256, 0.5)
    elif tail > 0.96:
        largest = sample.size * rng.uniform(1.0, 300 / 256)
    others = largest * rng.uniform(0.72 - 0.3 * hard, 1.0, count - 1)
    far = rng.random(count - 1) < 0.05 + 0.2 * hard
    others = np.where(far, sample.size * rng.uniform(30 / 256, 0.4, count - 1), others)
    return sorted([largest, *np.minimum(others, largest)], reverse=True)


def _free_x(rng: Rng, person: Person, placed: list[Array], foot: float, sample: Sample) -> float:
    """The x of the random places at which the person overlaps least with those already placed."""
    x0, y0, x1, y1 = person.box()
    half, size = (x1 - x0) / 2, sample.size
    inside = min(half, 0.5 * size)
    border = rng.random() < 0.04 + 0.12 * sample.difficulty
    best, least = size / 2, np.inf
    for _ in range(max(2, round(14 * (1 - sample.difficulty)))):
        x = rng.choice([0, size]) + rng.uniform(-0.3, 0.3) * half if border else rng.uniform(inside, size - inside)
        mine = np.array([x - half, foot - (y1 - y0), x + half, foot])
        overlap = sum(
            np.prod(np.clip(np.minimum(mine[2:], b[2:]) - np.maximum(mine[:2], b[:2]), 0, None)) for b in placed
        )
        if overlap < least:
            best, least = x, overlap
    return float(best)


def _people(rng: Rng, sample: Sample) -> tuple[list[Person], float]:
    """People from far to near, which is the order of painting, and the row of the horizon.

    The picture has one camera height, so the feet of smaller, farther people are higher up, as in a photo.
    """
    size, hard = sample.size, sample.difficulty
    counts = _mix((0.04, 0.60, 0.26, 0.06, 0.025, 0.01, 0.005), (0.05, 0.15, 0.2, 0.2, 0.16, 0.13, 0.11), hard)
    count = int(rng.choice(7, p=counts))
    camera = rng.uniform(0.45, 0.9)
    if count == 0:
        return [], size * rng.uniform(0.3, 0.75)
    people: list[Person] = []
    placed: list[Array] = []
    horizon = 0.0
    for scale in _scales(rng, count, sample):
        person = random_person(rng, scale, hard)
        height = person.box()[3] - person.box()[1]
        if not people:
            margin = 0.015 * size
            foot = (
                height + margin
                if height > size - 2 * margin
                else rng.uniform(max(height + margin, 0.6 * size), size - margin)
            )
            if rng.random() < 0.05 + 0.1 * hard:
                foot += rng.uniform(0.1, 0.4) * height  # cut by the lower border
            horizon = foot - camera * scale
        else:
            foot = max(horizon + camera * scale + rng.normal(0, 0.02 * size), 0.6 * height)
        person.move(_free_x(rng, person, placed, foot, sample), foot)
        person.labelled = rng.random() > 0.04
        placed.append(person.box())
        people.append(person)
    return people[::-1], horizon


def _shadow(image: Array, person: Person) -> None:
    """Paints a soft shadow under the feet."""
    height, width = image.shape[:2]
    feet = [person.points[side + "_ankle"][0] for side in ("left", "right")]
    ground = person.box()[3] - 0.012 * person.scale
    half = np.array([np.ptp(feet) / 2 + 0.09 * person.scale, 0.035 * person.scale])
    centre = np.array([np.mean(feet), ground])
    corners = np.clip([centre - 1.9 * half, centre + 1.9 * half], 0, [width, height])
    x0, y0, x1, y1 = corners.astype(int).ravel().tolist()
    rows, columns = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    distance = ((columns - centre[0]) / half[0]) ** 2 + ((rows - centre[1]) / half[1]) ** 2
    window = image[y0:y1, x0:x1]
    window[:] = window * (1 - 0.38 * np.exp(-(distance**1.5)))[..., None]


def _seat(image: Array, person: Person) -> None:
    p, unit = person.points, person.scale
    hips = (p["left_hip"] + p["right_hip"]) / 2
    floor = person.box()[3] - 0.02 * unit
    wood = (150, 112, 78)
    for x in (-0.11, 0.11):
        leg = [(np.array([hips[0] + x * unit, y]), 0.012 * unit) for y in (hips[1] + 0.07 * unit, floor - 0.02 * unit)]
        fill(image, hull(leg), wood, 0.6)
    seat = [(np.array([hips[0] + x * unit, hips[1] + 0.07 * unit]), 0.022 * unit) for x in (-0.14, 0.14)]
    fill(image, hull(seat, 1, 0.6), wood, 0.45)
    paint_shape(image, Shape(wood, [seat]))


def _crowd(rng: Rng, image: Array, owner: Array, horizon: float, sample: Sample) -> None:
    """Paints a group of tiny people far away, all with number 0."""
    size = sample.size
    scale = rng.uniform(0.09, 0.14) * size
    centre, foot = rng.uniform(0.15, 0.85) * size, np.clip(horizon + 0.5 * scale, 0.3 * size, 0.8 * size)
    for _ in range(rng.integers(8, 16)):
        person = random_person(rng, scale * rng.uniform(0.85, 1.1), 0.0)
        person.move(centre + rng.normal(0, 0.09) * size, foot + rng.uniform(0, 0.25) * scale)
        paint_person(image, owner, person, 0)


@dataclass(frozen=True)
class Scene:
    """A painted picture, and what is where in it.

    Attributes:
        image: RGB uint8 [size, size, 3].
        owner: int32 [size, size]: each pixel's person and group, see `paint_person`; the crowd's person is 0, and the
            background is negative.
        people: from far to near; person n of `owner` is `people[n - 1]`.
    """

    image: Array
    owner: Array
    people: list[Person]


def paint_scene(rng: Rng, sample: Sample) -> Scene:
    """Paints a random picture."""
    people, horizon = _people(rng, sample)
    image = paint_background(rng, sample.size, horizon, sample.difficulty)
    owner = np.full(image.shape[:2], -8, np.int32)
    if rng.random() < 0.04:
        _crowd(rng, image, owner, horizon, sample)
    for number, person in enumerate(people, 1):
        _shadow(image, person)
        if person.pose == "sit":
            _seat(image, person)
        paint_person(image, owner, person, number)
    grain = rng.integers(0, 9, image.shape, np.uint8)
    image = cv2.subtract(cv2.add(image, grain), np.full_like(image, 4))
    return Scene(image, owner, people)
