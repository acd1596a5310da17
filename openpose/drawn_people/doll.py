"""A doll: a pose in three dimensions, turned at random and projected without perspective.

x points right, y down and z to the viewer; a doll's unit of length is its standing height. Left and right and
foreshortening are right without special cases. Every keypoint is the true joint centre.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openpose.drawn_people.colours import HAIRS, SKINS, Array, Colour, Rng, cloth, hsv

# Ranges of (spread, swing) in degrees, of the upper and of the lower half; 0, 0 hangs straight down.
_ARMS = {
    "hang": ((6, 20), (-12, 10), (0, 18), (0, 30)),
    "hips": ((35, 55), (-20, 0), (-60, -42), (0, 20)),
    "up": ((125, 168), (-5, 15), (150, 192), (0, 20)),
    "wide": ((70, 105), (-10, 15), (65, 118), (0, 25)),
    "wave": ((65, 108), (-5, 15), (150, 188), (0, 25)),
    "bent": ((14, 35), (-20, 10), (-40, 0), (35, 80)),
    "away": ((28, 58), (-10, 10), (22, 60), (0, 30)),
}
_LEGS = {
    "stand": ((2, 10), (-5, 5), (-2, 6), (-9, 0)),
    "straddle": ((12, 26), (-4, 8), (6, 23), (-10, 0)),
    "sit": ((5, 20), (58, 80), (-4, 8), (-15, 10)),
    "crouch": ((14, 32), (35, 65), (0, 12), (-45, -15)),
    "forward": ((2, 9), (14, 34), (0, 5), (-12, 12)),
    "back": ((2, 9), (-28, -8), (0, 5), (-60, -25)),
    "kick": ((8, 35), (20, 70), (5, 30), (-40, 30)),
}


@dataclass(frozen=True)
class _Pose:
    legs: tuple[str, str]
    arms: tuple[str, ...]  #: choices for each arm
    easy: float  #: relative frequency at difficulty 0
    hard: float  #: relative frequency at difficulty 1


_POSES = {
    "stand": _Pose(("stand", "stand"), ("hang", "hips", "bent", "away", "wave", "up"), 0.34, 0.18),
    "straddle": _Pose(("straddle", "straddle"), ("wide", "up", "hips", "wave", "away", "hang"), 0.32, 0.16),
    "walk": _Pose(("forward", "back"), ("hang", "away", "wave", "bent"), 0.21, 0.20),
    "sit": _Pose(("sit", "sit"), ("hang", "bent", "hips", "wave", "up"), 0.06, 0.18),
    "lean": _Pose(("straddle", "stand"), ("wide", "hips", "away", "up"), 0.07, 0.12),
    "crouch": _Pose(("crouch", "crouch"), ("bent", "wide", "away"), 0.0, 0.08),
    "leap": _Pose(("kick", "stand"), ("wide", "up", "wave"), 0.0, 0.08),
}

_HEAD = {  # offsets from the head's middle, in doll units for a head of size 1
    "nose": (0.0, 0.012, 0.06),
    "left_eye": (0.024, -0.01, 0.05),
    "right_eye": (-0.024, -0.01, 0.05),
    "left_ear": (0.056, 0.004, 0.0),
    "right_ear": (-0.056, 0.004, 0.0),
    "skull": (0.0, -0.014, -0.014),
    "face": (0.0, -0.004, 0.012),
    "chin": (0.0, 0.04, 0.02),
    "mouth": (0.0, 0.036, 0.05),
    "crown": (0.0, -0.052, -0.004),
    "left_temple": (0.031, -0.042, 0.022),
    "right_temple": (-0.031, -0.042, 0.022),
    "nape": (0.0, 0.06, -0.03),
    "bun": (0.0, -0.05, -0.06),
}
# A point of the face is seen while it is at least this far (doll units) in front of the head's middle.
_FACES = {"nose": 0.0, "left_eye": 0.008, "right_eye": 0.008, "left_ear": -0.026, "right_ear": -0.026}


@dataclass(frozen=True)
class Style:
    """A person's look, apart from the pose."""

    skin: Colour
    hair: Colour
    cap: Colour
    shirt: Colour
    stripe: Colour | None  #: across the shirt
    legs: Colour
    shoe: Colour
    sleeve: str
    bottom: str
    cut: str  #: of the hair
    build: float  #: thickness of body and limbs, 1 is average


def _style(rng: Rng) -> Style:
    legs = cloth(rng)
    if rng.random() < 0.6:  # denim and the like
        legs = hsv(rng.uniform(0.55, 0.68), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.55))
    return Style(
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIRS[rng.integers(len(HAIRS))],
        cap=cloth(rng),
        shirt=cloth(rng),
        stripe=cloth(rng) if rng.random() < 0.25 else None,
        legs=legs,
        shoe=hsv(rng.random(), 0.5, rng.uniform(0.15, 0.9)),
        sleeve=str(rng.choice(["long", "short", "none"], p=[0.45, 0.45, 0.1])),
        bottom=str(rng.choice(["trousers", "shorts", "skirt"], p=[0.62, 0.22, 0.16])),
        cut=str(rng.choice(["short", "bob", "bun", "bald", "cap"], p=[0.4, 0.26, 0.14, 0.08, 0.12])),
        build=float(rng.uniform(0.88, 1.2)),
    )


@dataclass
class Person:
    """A doll in its pose, projected: all lengths in pixels."""

    points: dict[str, Array]  #: x, y, z of COCO's keypoints and of other points
    scale: float  #: the height when standing
    head: float  #: the head's size; 1 is a small adult's
    pose: str
    hidden: frozenset[str]  #: keypoints on the side of the head that is turned away
    style: Style
    labelled: bool = True

    def move(self, x: float, y: float) -> None:
        """Puts the middle of the hips at x and the lowest point at y."""
        middle = (self.points["left_hip"][0] + self.points["right_hip"][0]) / 2
        shift = np.array([x - middle, y - self.box()[3], 0])
        self.points = {name: point + shift for name, point in self.points.items()}

    def box(self) -> Array:
        """x0, y0, x1, y1 around the painted body, approximately."""
        xy = np.array([point[:2] for point in self.points.values()])
        pad = np.array([0.04, 0.04, 0.04, 0.02]) * self.scale
        return np.concatenate([xy.min(0), xy.max(0)]) + pad * [-1, -1, 1, 1]


def _rotation(axis: int, degrees: float) -> Array:
    """3x3 matrix that turns column vectors about x (0), y (1) or z (2)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def _limb(length: float, side: int, spread: float, swing: float) -> Array:
    """A limb's vector; `spread` lifts it sideways, away from the body, `swing` forwards (degrees)."""
    spread, swing = np.radians(spread), np.radians(swing)
    down = np.cos(spread)
    return length * np.array([side * np.sin(spread), down * np.cos(swing), abs(down) * np.sin(swing)])


def _two_limbs(
    rng: Rng, angles: Sequence[tuple[int, int]], side: int, upper: float, lower: float
) -> tuple[Array, Array]:
    spread, swing, lower_spread, lower_swing = (rng.uniform(*limits) for limits in angles)
    return _limb(upper, side, spread, swing), _limb(lower, side, lower_spread, lower_swing)


def _pose_points(rng: Rng, pose: str, head_size: float) -> dict[str, Array]:
    """All points of a doll in this pose, facing the viewer, in doll units; the origin is between the hips."""
    leaning = pose == "lean"
    pitch = rng.uniform(0, 25) if leaning else rng.normal(2, 4)
    sway = rng.choice([-1, 1]) * rng.uniform(10, 24) if leaning else rng.normal(0, 4)
    torso = _rotation(2, sway) @ _rotation(0, -pitch) @ _rotation(1, rng.normal(0, 8))
    head = torso @ _rotation(1, rng.normal(0, 14)) @ _rotation(2, rng.normal(0, 6)) @ _rotation(0, rng.normal(0, 6))

    legs = list(rng.permutation(_POSES[pose].legs))
    arms = list(rng.choice(_POSES[pose].arms, 2))
    if rng.random() < 0.4:
        arms[1] = arms[0]
    p: dict[str, Array] = {}
    for side, name, leg, arm in zip((1, -1), ("left", "right"), legs, arms, strict=True):
        hip = p[f"{name}_hip"] = np.array([side * 0.062, 0, 0])
        thigh, shin = _two_limbs(rng, _LEGS[leg], side, 0.24, 0.235)
        p[f"{name}_knee"], p[f"{name}_ankle"] = hip + thigh, hip + thigh + shin
        p[f"{name}_toe"] = p[f"{name}_ankle"] + [side * 0.028, 0.02, 0.07]
        p[f"{name}_belt"] = torso @ [side * 0.06, -0.05, 0]
        shoulder = p[f"{name}_shoulder"] = torso @ [side * 0.1, -0.305, 0]
        upper, fore = (torso @ limb for limb in _two_limbs(rng, _ARMS[arm], side, 0.165, 0.145))
        p[f"{name}_elbow"], p[f"{name}_wrist"] = shoulder + upper, shoulder + upper + fore
        p[f"{name}_hand"] = p[f"{name}_wrist"] + fore * 0.28
    p["neck"] = torso @ [0, -0.32, 0]
    p["head"] = p["neck"] + torso @ [0, -0.062, 0.006] + head @ [0, -0.055 * head_size, 0.008]
    return p | {name: p["head"] + head_size * head @ offset for name, offset in _HEAD.items()}


def random_person(rng: Rng, scale: float, difficulty: float) -> Person:
    """A person of this height in pixels, near the origin, in a random pose and random clothes."""
    weights = np.array([pose.easy + (pose.hard - pose.easy) * difficulty for pose in _POSES.values()])
    pose = str(rng.choice(list(_POSES), p=weights / weights.sum()))
    turned = rng.random()
    yaw = rng.normal(0, 16 + 14 * difficulty)
    if turned < 0.06 + 0.08 * difficulty:
        yaw += 180
    elif turned < 0.12 + 0.22 * difficulty or (pose == "walk" and turned < 0.3):
        yaw += rng.choice([-1, 1]) * rng.uniform(25, 70)
    roll = rng.normal(0, 2 + 4 * difficulty)
    if rng.random() < 0.12 * max(0, difficulty - 0.3):
        roll += rng.choice([-1, 1]) * rng.uniform(50, 100)
    head_size = rng.uniform(1.15, 1.4)
    view = scale * _rotation(2, roll) @ _rotation(0, -rng.uniform(0, 12)) @ _rotation(1, yaw)
    points = {name: view @ point for name, point in _pose_points(rng, pose, head_size).items()}
    unit = scale * head_size
    hidden = frozenset(name for name, z in _FACES.items() if points[name][2] - points["head"][2] < z * unit)
    return Person(points, scale, head_size, pose, hidden, _style(rng))
