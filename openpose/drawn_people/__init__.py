"""A sample data set: drawn people in COCO's own format, so that everything runs where no data is at hand.

`python -m openpose.sample --out DIR --seed 1` writes, in the official layout,

    train2017.zip  val2017.zip                  train2017/000000000001.jpg …, stored, not deflated
    annotations_trainval2017.zip                annotations/person_keypoints_{train,val}2017.json
    sample.json                                 what was asked for and what came out; written last

A person is a small three-dimensional doll: joint angles give a pose, the doll is turned, projected without
perspective and painted back to front. So left and right, foreshortening and what hides what come out right
without special cases. Every keypoint is the true joint centre, rounded to a pixel as in COCO; its `v` is

    2  seen,
    1  in the picture, but behind another person or another part of the same body,
    0  outside the picture, or on the side of the head that is turned away (as COCO's annotators leave it).

While drawing, x points right, y down and z to the viewer; a doll's unit of length is its standing height.
"""

import argparse
import colorsys
import json
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from openpose import progress, skeleton
from openpose.errors import InputError

DRAWING = 1  # raise it when the same parameters draw other pictures: finished folders of the older kind are redrawn

FIRST_ID = {"train2017": 1, "val2017": 500_001}  # of the pictures; unique over both splits, as in COCO
SMALL_AREA = 32**2  # pixels²; COCO labels no keypoints on smaller people
COCO = skeleton.get("openpose18")  # its source keypoints are COCO's
SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
LIGHT = (-0.5, -0.85)  # the direction to the light in the picture

Rng = np.random.Generator
Array = np.ndarray
Colour = tuple[float, ...]  # RGB, 0 to 255
Circle = tuple[Array, float]  # centre and radius, pixels


@dataclass(frozen=True)
class Sample:
    """What to draw; the same values give the same bytes."""

    seed: int = 0
    train: int = 1600  #: pictures
    val: int = 150  #: pictures
    size: int = 256  #: width and height of the pictures, pixels
    difficulty: float = 0.1  #: 0 calm and large … 1 cluttered, small, overlapping, in odd poses

    def check(self) -> None:
        """Raises InputError when a value makes no sense."""
        # In pictures below 96 pixels hardly anyone has the area from which COCO labels keypoints.
        limits = {"seed": (0, 2**32 - 1), "train": (1, 500_000), "val": (1, 500_000), "size": (96, 2048)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)}; give a whole number from {low} to {high}")
        if not 0 <= self.difficulty <= 1:
            raise InputError(f"difficulty is {self.difficulty}; give a number from 0 (easy) to 1 (hard)")


# --- The doll: a pose in three dimensions ---------------------------------------------------------

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
    arms: tuple[str, ...]  #: one of these for each arm
    easy: float  #: how often at difficulty 0
    hard: float  #: how often at difficulty 1


_POSES = {
    "stand": _Pose(("stand", "stand"), ("hang", "hips", "bent", "away", "wave", "up"), 0.34, 0.18),
    "straddle": _Pose(("straddle", "straddle"), ("wide", "up", "hips", "wave", "away", "hang"), 0.32, 0.16),
    "walk": _Pose(("forward", "back"), ("hang", "away", "wave", "bent"), 0.21, 0.20),
    "sit": _Pose(("sit", "sit"), ("hang", "bent", "hips", "wave", "up"), 0.06, 0.18),
    "lean": _Pose(("straddle", "stand"), ("wide", "hips", "away", "up"), 0.07, 0.12),
    "crouch": _Pose(("crouch", "crouch"), ("bent", "wide", "away"), 0.0, 0.08),
    "leap": _Pose(("kick", "stand"), ("wide", "up", "wave"), 0.0, 0.08),
}

_HEAD = {  # offsets from the head's middle, in doll units before the head's own size
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
class _Style:
    """What a person looks like, apart from the pose."""

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


@dataclass
class _Person:
    """A doll in its pose, projected: all lengths in pixels."""

    points: dict[str, Array]  #: x, y, z of COCO's keypoints and of some more
    scale: float  #: the height when standing
    head: float  #: the head's size, 1 is a small adult's
    pose: str
    hidden: frozenset[str]  #: keypoints on the side of the head that is turned away
    style: _Style
    labelled: bool = True

    def move(self, x: float, y: float) -> None:
        """Puts the middle of the hips at x and the lowest point at y."""
        middle = (self.points["left_hip"][0] + self.points["right_hip"][0]) / 2
        shift = np.array([x - middle, y - self.box()[3], 0])
        self.points = {name: point + shift for name, point in self.points.items()}

    def box(self) -> Array:
        """x0, y0, x1, y1 around the body, about as it will be painted."""
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


def _person(rng: Rng, scale: float, difficulty: float) -> _Person:
    """A person of that height in pixels, near the origin, in a pose and clothes of its own."""
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
    return _Person(points, scale, head_size, pose, hidden, _style(rng))


# --- Paint ----------------------------------------------------------------------------------------

_SKINS = ((244, 206, 174), (236, 188, 146), (224, 172, 125), (198, 134, 86), (141, 85, 52), (96, 58, 40))
_HAIRS = (
    (35, 28, 26),
    (68, 44, 30),
    (108, 70, 40),
    (150, 98, 52),
    (214, 176, 104),
    (160, 64, 34),
    (178, 176, 174),
)


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    return tuple(255 * c for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _cloth(rng: Rng) -> Colour:
    """A clear colour, so that people stand out from paler backgrounds; now and then white, grey or black."""
    if rng.random() < 0.2:
        return _hsv(rng.random(), 0.06, rng.choice([0.2, 0.5, 0.96]))
    return _hsv(rng.random(), rng.uniform(0.55, 0.9), rng.uniform(0.45, 0.92))


def _style(rng: Rng) -> _Style:
    legs = _cloth(rng)
    if rng.random() < 0.6:  # denim and the like
        legs = _hsv(rng.uniform(0.55, 0.68), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.55))
    return _Style(
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIRS[rng.integers(len(_HAIRS))],
        cap=_cloth(rng),
        shirt=_cloth(rng),
        stripe=_cloth(rng) if rng.random() < 0.25 else None,
        legs=legs,
        shoe=_hsv(rng.random(), 0.5, rng.uniform(0.15, 0.9)),
        sleeve=str(rng.choice(["long", "short", "none"], p=[0.45, 0.45, 0.1])),
        bottom=str(rng.choice(["trousers", "shorts", "skirt"], p=[0.62, 0.22, 0.16])),
        cut=str(rng.choice(["short", "bob", "bun", "bald", "cap"], p=[0.4, 0.26, 0.14, 0.08, 0.12])),
        build=float(rng.uniform(0.88, 1.2)),
    )


_ANGLES = np.arange(20) * (2 * np.pi / 20)
_UNIT_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)


def _hull(circles: Sequence[Circle], factor: float = 1.0, grow: float = 0.0, shift: float = 0.0) -> Array:
    """The outline around circles as OpenCV's fixed-point polygon; `shift` radii towards the light."""
    centres = np.array([centre[:2] for centre, _ in circles])
    radii = np.array([radius for _, radius in circles])
    centres = centres + radii[:, None] * np.multiply(LIGHT, shift)
    points = centres[:, None] + (radii * factor + grow)[:, None, None] * _UNIT_CIRCLE
    return cv2.convexHull(np.round(points.reshape(-1, 2) * 2**SHIFT).astype(np.int32))


def _fill(image: Array, polygon: Array, colour: Colour, factor: float = 1.0) -> None:
    colour = tuple(min(255.0, c * factor) for c in colour)
    cv2.fillConvexPoly(image, polygon, colour, cv2.LINE_AA, SHIFT)


@dataclass(frozen=True)
class _Shape:
    """Something of one colour made of rounded pieces, shaded as one solid."""

    colour: Colour
    pieces: list[list[Circle]]
    shine: float = 0.1  #: how much brighter the brightest spot is


@dataclass(frozen=True)
class _Group:
    """Shapes that lie at one depth: an arm, a leg, the trunk, the head."""

    name: str
    depth: float
    shapes: list[_Shape]


_GROUPS = ("trunk", "head", "left_arm", "right_arm", "left_leg", "right_leg")
_JOINT_GROUPS = {"shoulder": ("trunk", "arm"), "elbow": ("arm",), "wrist": ("arm",)}
_JOINT_GROUPS |= {"hip": ("trunk", "leg"), "knee": ("leg",), "ankle": ("leg",)}


def _groups_of(keypoint: str) -> set[str]:
    """The groups that a keypoint may lie under and still count as seen."""
    side, _, joint = keypoint.partition("_")
    if joint not in _JOINT_GROUPS:
        return {"head"}
    return {group if group == "trunk" else f"{side}_{group}" for group in _JOINT_GROUPS[joint]}


def _between(a: Array, b: Array, t: float) -> Array:
    return a + (b - a) * t


def _arm(person: _Person, side: str) -> _Group:
    p, style, unit = person.points, person.style, person.scale * person.style.build
    shoulder, elbow, wrist, hand = (p[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist", "hand"))
    palm = [(wrist, 0.024 * unit), (hand, 0.024 * unit)]
    fore = [(elbow, 0.032 * unit), (wrist, 0.024 * unit)]
    if style.sleeve == "long":
        upper = [(shoulder, 0.043 * unit), (elbow, 0.036 * unit)]
        sleeve = [(elbow, 0.036 * unit), (_between(elbow, wrist, 0.92), 0.03 * unit)]
        shapes = [_Shape(style.skin, [palm]), _Shape(style.shirt, [upper, sleeve])]
    else:
        end = _between(shoulder, elbow, 0.6 if style.sleeve == "short" else 0.08)
        bare = [(end, 0.036 * unit), (elbow, 0.033 * unit)]
        sleeve = [(shoulder, 0.044 * unit), (end, 0.043 * unit)]
        shapes = [_Shape(style.skin, [bare, fore, palm]), _Shape(style.shirt, [sleeve])]
    depth = (shoulder[2] + elbow[2] + 2 * wrist[2]) / 4
    return _Group(f"{side}_arm", depth + 0.03 * person.scale, shapes)


def _leg(person: _Person, side: str, trunk: float) -> _Group:
    p, style, unit = person.points, person.style, person.scale * person.style.build
    hip, knee, ankle, toe = (p[f"{side}_{j}"] for j in ("hip", "knee", "ankle", "toe"))
    shoe = _Shape(style.shoe, [[(ankle, 0.031 * unit), (toe, 0.026 * unit)]], 0.2)
    if style.bottom == "trousers":
        thigh = [(hip, 0.058 * unit), (knee, 0.043 * unit)]
        shin = [(knee, 0.043 * unit), (_between(knee, ankle, 0.93), 0.034 * unit)]
        shapes = [shoe, _Shape(style.legs, [thigh, shin])]
    else:
        end = _between(hip, knee, 0.72 if style.bottom == "shorts" else 0.3)
        bare = [(end, 0.046 * unit), (knee, 0.04 * unit)]
        shin = [(knee, 0.04 * unit), (ankle, 0.026 * unit)]
        leg = [(hip, 0.06 * unit), (end, 0.056 * unit)]
        shapes = [_Shape(style.skin, [bare, shin]), shoe, _Shape(style.legs, [leg])]
    lap = knee[2] - hip[2] > 0.12 * person.scale  # a thigh that points at the viewer covers the shirt
    depth = (hip[2] + 2 * knee[2] + ankle[2]) / 4
    return _Group(f"{side}_leg", depth if lap else min(depth, trunk - 0.01 * person.scale), shapes)


def _trunk(person: _Person) -> _Group:
    p, style, unit = person.points, person.style, person.scale * person.style.build
    hips, belts = ([p["left_" + n], p["right_" + n]] for n in ("hip", "belt"))
    shoulders = [p["left_shoulder"], p["right_shoulder"]]
    pelvis = [(point, 0.06 * unit) for point in hips] + [(point, 0.05 * unit) for point in belts]
    bottom = [pelvis]
    if style.bottom == "skirt":
        hem = [(_between(p[s + "_hip"], p[s + "_knee"], 0.75), 0.055 * unit) for s in ("left", "right")]
        bottom = [[(point, 0.06 * unit) for point in hips] + hem, pelvis]
    chest = [(point, 0.045 * unit) for point in shoulders] + [(point, 0.052 * unit) for point in belts]
    shapes = [_Shape(style.legs, bottom), _Shape(style.shirt, [chest])]
    if style.stripe is not None:
        band = [(_between(s, b, t), 0.05 * unit) for t in (0.42, 0.5) for s, b in zip(shoulders, belts, strict=True)]
        shapes.append(_Shape(style.stripe, [[(point, radius * 0.4) for point, radius in band]], 0.0))
    neck = [(p["neck"], 0.03 * unit), (p["head"], 0.03 * unit)]
    shapes.insert(0, _Shape(style.skin, [neck]))
    return _Group("trunk", np.mean([point[2] for point in hips + shoulders]), shapes)


def _head(person: _Person, trunk: float) -> list[_Group]:
    """The head, always before the trunk, and seen from the front the hair behind it; `trunk` is a depth."""
    p, style, unit = person.points, person.style, person.scale * person.head
    bald = style.cut == "bald"
    hair = style.cap if style.cut == "cap" else style.skin if bald else style.hair
    back = [[(p["skull"], (0.05 if bald else 0.06) * unit)]]
    if style.cut == "bob":
        back.append([(p["skull"], 0.06 * unit), (p["nape"], 0.052 * unit)])
    if style.cut == "bun":
        back.append([(p["bun"], 0.03 * unit)])
    face = _Shape(style.skin, [[(p["face"], 0.052 * unit), (p["chin"], 0.034 * unit)]])
    lock = [(p["left_temple"], 0.017 * unit), (p["right_temple"], 0.017 * unit), (p["crown"], 0.02 * unit)]
    fringe = [] if bald else [_Shape(hair, [lock], 0.05)]
    ears = [_Shape(style.skin, [[(p[e], 0.017 * unit)]]) for e in ("left_ear", "right_ear") if e not in person.hidden]
    near, far = max(trunk, p["head"][2]) + 0.01 * unit, trunk - 0.01 * unit
    if p["nose"][2] > p["head"][2]:
        return [_Group("head", far, [_Shape(hair, back)]), _Group("head", near, [*ears, face, *fringe])]
    return [_Group("head", near, [face, *ears, _Shape(hair, back)])]


def _paint_shape(image: Array, shape: _Shape) -> None:
    for factor, shift, light in ((1.0, 0.0, 0.78), (0.76, 0.2, 1.0), (0.36, 0.42, 1.0 + shape.shine)):
        for piece in shape.pieces:
            _fill(image, _hull(piece, factor, 0, shift), shape.colour, light)


def _paint_face(image: Array, person: _Person) -> None:
    p, unit, skin = person.points, person.scale * person.head, person.style.skin
    across = (p["left_eye"] - p["right_eye"])[:2] / 2
    up = np.array([across[1], -across[0]]) / max(1e-6, np.hypot(*across)) * unit
    for eye in ("left_eye", "right_eye"):
        if eye in person.hidden:
            continue
        _fill(image, _hull([(p[eye], 0.0125 * unit)]), (250, 250, 248))
        _fill(image, _hull([(p[eye], 0.0085 * unit)]), (40, 30, 32))
        brow = p[eye][:2] + 0.019 * up
        _fill(
            image,
            _hull([(brow - 0.5 * across, 0.0035 * unit), (brow + 0.5 * across, 0.0035 * unit)]),
            skin,
            0.4,
        )
    if "nose" not in person.hidden:
        _fill(image, _hull([(p["nose"], 0.0095 * unit), (p["nose"][:2] + 0.015 * up, 0.005 * unit)]), skin, 0.75)
        if p["mouth"][2] - p["head"][2] > 0.02 * unit:
            smile = [p["mouth"][:2] + 0.7 * t * across - 0.009 * (1 - t * t) * up for t in (-1, -0.5, 0, 0.5, 1)]
            points = np.round(np.array(smile) * 2**SHIFT).astype(np.int32)
            dark = (0.62 * skin[0], 0.36 * skin[1], 0.36 * skin[2])
            cv2.polylines(image, [points], False, dark, max(1, round(0.007 * unit)), cv2.LINE_AA, SHIFT)


def _paint_person(image: Array, owner: Array, person: _Person, number: int) -> None:
    """Paints a person on `image`, and `8 * number + group` (counted from 1) on `owner`, an int32 map."""
    trunk = _trunk(person)
    groups = [trunk, *_head(person, trunk.depth)]
    for side in ("left", "right"):
        groups += [_arm(person, side), _leg(person, side, trunk.depth)]
    rim = max(0.5, 0.005 * person.scale)
    for group in sorted(groups, key=lambda group: group.depth):
        code = 8 * number + _GROUPS.index(group.name) + 1
        for shape in group.shapes:
            for piece in shape.pieces:
                outline = _hull(piece, 1, rim)
                _fill(image, outline, shape.colour, 0.45)
                cv2.fillConvexPoly(owner, outline, code, cv2.LINE_8, SHIFT)
        for shape in group.shapes:
            _paint_shape(image, shape)
    _paint_face(image, person)


# --- Backgrounds ----------------------------------------------------------------------------------


def _gradient(height: int, width: int, top: Colour, bottom: Colour) -> Array:
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    column = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    return np.repeat(column, width, 1)


def _pale(rng: Rng, low: float = 0.55, high: float = 0.95) -> Colour:
    return _hsv(rng.random(), rng.uniform(0.04, 0.32), rng.uniform(low, high))


def _soft_noise(rng: Rng, size: int, cells: int, amount: float) -> Array:
    coarse = rng.normal(0, amount, (cells, cells, 1)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[..., None]


def _rectangle(image: Array, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    corners = np.round(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) * 2**SHIFT).astype(np.int32)
    cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA, SHIFT)


def _outdoors(rng: Rng, image: Array, horizon: int) -> None:
    size = len(image)
    sky = rng.uniform(0.54, 0.62)
    image[:horizon] = _gradient(horizon, size, _hsv(sky, rng.uniform(0.2, 0.5), 0.95), _hsv(sky + 0.02, 0.08, 1.0))
    for _ in range(rng.integers(0, 4)):  # clouds
        x, y, r = rng.uniform(0, size), rng.uniform(0, horizon * 0.7), rng.uniform(0.02, 0.05) * size
        for k in range(4):
            _fill(image, _hull([(np.array([x + k * r, y + rng.uniform(-0.4, 0.4) * r]), r)]), (252, 252, 255))
    green = rng.uniform(0.2, 0.38)
    if rng.random() < 0.5:  # hills
        for k in range(3):
            x, r = rng.uniform(0, size), rng.uniform(0.3, 0.8) * size
            tone = _hsv(green + 0.08, 0.3, 0.8 - 0.08 * k)
            _fill(image, _hull([(np.array([x, horizon + r * rng.uniform(0.7, 0.9)]), r)]), tone)
    else:  # houses
        x = -rng.uniform(0, 0.1) * size
        while x < size:
            width, height = rng.uniform(0.1, 0.22) * size, rng.uniform(0.1, 0.5) * horizon
            wall = _pale(rng, 0.6, 0.85)
            _rectangle(image, x, horizon - height, x + width, horizon, wall)
            for wy in np.arange(horizon - height + 0.03 * size, horizon - 0.03 * size, 0.055 * size):
                for wx in np.arange(x + 0.02 * size, x + width - 0.03 * size, 0.045 * size):
                    _rectangle(image, wx, wy, wx + 0.02 * size, wy + 0.03 * size, tuple(0.8 * c for c in wall))
            x += width + rng.choice([0, 0.03]) * size
    for _ in range(rng.integers(0, 4)):  # trees
        x, r = rng.uniform(0, size), rng.uniform(0.05, 0.1) * size
        _rectangle(image, x - 0.16 * r, horizon - 2.2 * r, x + 0.16 * r, horizon, (122, 92, 66))
        leaves = _hsv(green + rng.uniform(-0.04, 0.06), 0.42, rng.uniform(0.5, 0.68))
        crown = [[(np.array([x + dx * r, horizon - dy * r]), 0.75 * r)] for dx, dy in ((-0.5, 2), (0.5, 2.1), (0, 2.8))]
        _paint_shape(image, _Shape(leaves, crown))
    ground = [_hsv(green, 0.35, 0.72), _hsv(0.1, 0.22, 0.82), _hsv(0.6, 0.05, 0.7)][rng.integers(3)]
    image[horizon:] = _gradient(size - horizon, size, ground, tuple(0.82 * c for c in ground))


def _indoors(rng: Rng, image: Array, horizon: int) -> None:
    size = len(image)
    wall = _hsv(rng.random(), rng.uniform(0.03, 0.24), rng.uniform(0.7, 0.97))
    image[:horizon] = _gradient(horizon, size, wall, tuple(0.93 * c for c in wall))
    if rng.random() < 0.5:  # wallpaper
        step, tone = rng.uniform(0.05, 0.16) * size, tuple(rng.uniform(0.92, 0.97) * c for c in wall)
        for x in np.arange(rng.uniform(0, step), size, step):
            _rectangle(image, x, 0, x + step / 2, horizon, tone)
    for _ in range(rng.integers(0, 4)):  # pictures and windows
        x, y = rng.uniform(0, 0.85) * size, rng.uniform(0.02, 0.5) * horizon
        w, h, rim = rng.uniform(0.1, 0.3) * size, rng.uniform(0.1, 0.3) * size, 0.012 * size
        _rectangle(image, x, y, x + w, y + h, _hsv(0.08, 0.4, rng.uniform(0.4, 0.9)))
        _rectangle(image, x + rim, y + rim, x + w - rim, y + h - rim, _pale(rng))
        if rng.random() < 0.5:
            _rectangle(image, x + w / 2 - rim / 2, y + rim, x + w / 2 + rim / 2, y + h - rim, (245, 245, 240))
    floor = _hsv(rng.uniform(0.04, 0.13), rng.uniform(0.15, 0.5), rng.uniform(0.5, 0.8))
    image[horizon:] = _gradient(size - horizon, size, floor, tuple(0.85 * c for c in floor))
    centre = rng.uniform(0.3, 0.7) * size
    for x in np.arange(-2 * size, 3 * size, 0.22 * size):  # floorboards run to a vanishing point
        a, b = (centre + (x - centre) * 0.45, horizon), (x, size)
        ends = [tuple(round(v * 2**SHIFT) for v in end) for end in (a, b)]
        cv2.line(image, ends[0], ends[1], tuple(0.85 * c for c in floor), 1, cv2.LINE_AA, SHIFT)
    _rectangle(image, 0, horizon - 0.02 * size, size, horizon, tuple(0.8 * c for c in wall))


def _studio(rng: Rng, image: Array, horizon: int) -> None:
    size = len(image)
    image[:] = _gradient(size, size, _pale(rng), _pale(rng))
    if rng.random() < 0.5:
        image[:] = image.transpose(1, 0, 2).copy()
    tone = _pale(rng)
    kind = rng.integers(3)
    for _ in range(rng.integers(3, 9)):
        x, y, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.05, 0.25) * size
        if kind == 0:
            _fill(image, _hull([(np.array([x, y]), r)]), _pale(rng))
        elif kind == 1:
            _rectangle(image, x - r, y - r * 0.7, x + r, y + r * 0.7, _pale(rng))
        else:
            _fill(image, _hull([(np.array([x - size, y]), r / 5), (np.array([x + size, y + r]), r / 5)]), tone)


def _clutter(rng: Rng, image: Array, difficulty: float) -> None:
    """Sticks and balls in people's own colours, so that colour and roundness alone give nobody away."""
    size = len(image)
    for _ in range(rng.poisson(20 * max(0.0, difficulty - 0.28))):
        colour = _SKINS[rng.integers(len(_SKINS))] if rng.random() < 0.3 else _cloth(rng)
        a = rng.uniform(0, size, 2)
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.3) * size
        r = rng.uniform(0.008, 0.035) * size
        b = a + length * np.array([np.cos(angle), np.sin(angle)])
        piece = [(a, r), (b, r * rng.uniform(0.6, 1))] if rng.random() < 0.7 else [(a, 1.5 * r)]
        _fill(image, _hull(piece, 1, 0.5), colour, 0.45)
        _paint_shape(image, _Shape(colour, [piece]))


def _background(rng: Rng, size: int, horizon: float, difficulty: float) -> Array:
    """RGB uint8 [size, size, 3]."""
    image = np.zeros((size, size, 3), np.uint8)
    kinds = (_outdoors, _indoors, _studio)
    row = int(np.clip(horizon, 0.25 * size, 0.85 * size))
    kinds[rng.choice(3, p=[0.4, 0.36, 0.24])](rng, image, row)
    noise = _soft_noise(rng, size, int(rng.uniform(3, 10 + 20 * difficulty)), rng.uniform(1, 4 + 10 * difficulty))
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    _clutter(rng, image, difficulty)
    return image


# --- Scenes ---------------------------------------------------------------------------------------


def _mix(easy: Sequence[float], hard: Sequence[float], difficulty: float) -> Array:
    share = difficulty**1.5
    weights = np.array(easy) * (1 - share) + np.array(hard) * share
    return weights / weights.sum()


def _scales(rng: Rng, count: int, sample: Sample) -> list[float]:
    """Heights in pixels for that many people, the largest first."""
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


def _free_x(rng: Rng, person: _Person, placed: list[Array], foot: float, sample: Sample) -> float:
    """The best of a few random places: the one with the least overlap with those who stand there already."""
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


def _people(rng: Rng, sample: Sample) -> tuple[list[_Person], float]:
    """People in the order they are painted in (far to near), and the row of the horizon.

    One camera height for the whole picture puts the feet of smaller, farther people higher up, as in a photo.
    """
    size, hard = sample.size, sample.difficulty
    counts = _mix((0.04, 0.60, 0.26, 0.06, 0.025, 0.01, 0.005), (0.05, 0.15, 0.2, 0.2, 0.16, 0.13, 0.11), hard)
    count = int(rng.choice(7, p=counts))
    camera = rng.uniform(0.45, 0.9)
    if count == 0:
        return [], size * rng.uniform(0.3, 0.75)
    people: list[_Person] = []
    placed: list[Array] = []
    horizon = 0.0
    for scale in _scales(rng, count, sample):
        person = _person(rng, scale, hard)
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


def _shadow(image: Array, person: _Person) -> None:
    """Darkens the ground under the feet, softly."""
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


def _seat(image: Array, person: _Person) -> None:
    p, unit = person.points, person.scale
    hips = (p["left_hip"] + p["right_hip"]) / 2
    floor = person.box()[3] - 0.02 * unit
    wood = (150, 112, 78)
    for x in (-0.11, 0.11):
        leg = [(np.array([hips[0] + x * unit, y]), 0.012 * unit) for y in (hips[1] + 0.07 * unit, floor - 0.02 * unit)]
        _fill(image, _hull(leg), wood, 0.6)
    seat = [(np.array([hips[0] + x * unit, hips[1] + 0.07 * unit]), 0.022 * unit) for x in (-0.14, 0.14)]
    _fill(image, _hull(seat, 1, 0.6), wood, 0.45)
    _paint_shape(image, _Shape(wood, [seat]))


def _crowd(rng: Rng, image: Array, owner: Array, horizon: float, sample: Sample) -> None:
    """A group of tiny people far away, all under number 0."""
    size = sample.size
    scale = rng.uniform(0.09, 0.14) * size
    centre, foot = rng.uniform(0.15, 0.85) * size, np.clip(horizon + 0.5 * scale, 0.3 * size, 0.8 * size)
    for _ in range(rng.integers(8, 16)):
        person = _person(rng, scale * rng.uniform(0.85, 1.1), 0.0)
        person.move(centre + rng.normal(0, 0.09) * size, foot + rng.uniform(0, 0.25) * scale)
        _paint_person(image, owner, person, 0)


# --- Annotations ----------------------------------------------------------------------------------


def _loops(contours: Sequence[Array], hierarchy: Array) -> Iterator[Array]:
    """Outer contours [N, 2] with their holes joined to them by a cut of no width, as COCO has no holes."""
    for index, contour in enumerate(contours):
        if hierarchy[index][3] >= 0:
            continue
        loop, hole = contour[:, 0], hierarchy[index][2]
        while hole >= 0:
            inner = contours[hole][:, 0]
            gaps = np.abs(loop[:, None] - inner[None]).sum(2)
            at, start = np.unravel_index(gaps.argmin(), gaps.shape)
            inner = np.concatenate([inner[start:], inner[: start + 1]])
            loop = np.concatenate([loop[: at + 1], inner, loop[at:]])
            hole = hierarchy[hole][0]
        yield loop


def _polygons(mask: Array) -> list[list[float]]:
    """COCO polygons around a mask: x, y, x, y, …; pixel i lies between the coordinates i and i + 1."""
    x, y, width, height = cv2.boundingRect(mask)
    # Doubled, the contour through the outer half pixels lies a quarter of a pixel inside the true edge.
    window = np.repeat(np.repeat(mask[y : y + height, x : x + width], 2, 0), 2, 1)
    contours, hierarchy = cv2.findContours(window, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    loops = [(loop + 0.5) / 2 + [x, y] for loop in _loops(contours, hierarchy[0])]
    return [np.round(loop, 2).ravel().tolist() for loop in loops if len(loop) >= 4]


def _run_lengths(mask: Array) -> dict[str, Any]:
    """COCO's uncompressed run-length code: lengths of 0s, 1s, 0s, … down the columns."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def _keypoints(person: _Person, owner: Array, number: int) -> list[int]:
    """51 numbers: x, y, v of COCO's keypoints; the person's own pixels in `owner` tell which are seen."""
    height, width = owner.shape
    triples: list[int] = []
    for name in COCO.source_parts:
        x, y = (round(v) for v in person.points[name][:2])
        if name in person.hidden or not (0 <= x < width and 0 <= y < height):
            triples += [0, 0, 0]
            continue
        group = owner[y, x] - 8 * number
        seen = 1 <= group <= len(_GROUPS) and _GROUPS[group - 1] in _groups_of(name)
        triples += [x, y, 2 if seen else 1]
    return triples


def _annotation(mask: Array, keypoints: list[int], crowd: bool = False) -> dict[str, Any]:
    area = int(mask.sum())
    if area < SMALL_AREA or crowd:
        keypoints = [0] * 51
    return {
        "segmentation": _run_lengths(mask) if crowd else _polygons(mask),
        "num_keypoints": int(np.count_nonzero(keypoints[2::3])),
        "area": area,
        "iscrowd": int(crowd),
        "keypoints": keypoints,
        "bbox": list(cv2.boundingRect(mask)),
        "category_id": 1,
    }


def draw(sample: Sample, split: str, index: int) -> tuple[Array, list[dict[str, Any]]]:
    """Draws one picture; it depends on nothing but these values, so pictures can be drawn in any order.

    Args:
        sample: the data set's parameters.
        split: "train2017" or "val2017".
        index: the picture's place in its split, from 0.

    Returns:
        The picture, RGB uint8 [size, size, 3], and its COCO annotations without `id` and `image_id`.
    """
    rng = np.random.default_rng([sample.seed, FIRST_ID[split], index])
    people, horizon = _people(rng, sample)
    image = _background(rng, sample.size, horizon, sample.difficulty)
    owner = np.full(image.shape[:2], -8, np.int32)
    crowd = rng.random() < 0.04
    if crowd:
        _crowd(rng, image, owner, horizon, sample)
    for number, person in enumerate(people, 1):
        _shadow(image, person)
        if person.pose == "sit":
            _seat(image, person)
        _paint_person(image, owner, person, number)
    grain = rng.integers(0, 9, image.shape, np.uint8)
    image = cv2.subtract(cv2.add(image, grain), np.full_like(image, 4))

    annotations = []
    whose = (owner - 1) // 8
    if crowd and (whose == 0).any():
        annotations.append(_annotation((whose == 0).astype(np.uint8), [], crowd=True))
    for number, person in enumerate(people, 1):
        mask = (whose == number).astype(np.uint8)
        if mask.any():
            keypoints = _keypoints(person, owner, number) if person.labelled else [0] * 51
            annotations.append(_annotation(mask, keypoints))
    return image, annotations


# --- Files ----------------------------------------------------------------------------------------


def make(
    out: str | Path,
    seed: int = Sample.seed,
    train: int = Sample.train,
    val: int = Sample.val,
    size: int = Sample.size,
    difficulty: float = Sample.difficulty,
) -> bool:
    """Draws a sample data set into the folder `out`, or finds it finished there.

    Args:
        out: folder for the three archives and `sample.json`; it is made when missing.
        seed: the same seed draws the same bytes.
        train: pictures in train2017.
        val: pictures in val2017.
        size: width and height of the pictures in pixels.
        difficulty: 0 (calm, large, apart) to 1 (cluttered, small, overlapping, in odd poses).

    Returns:
        True when it was drawn, False when it was already there with these parameters.

    Raises:
        InputError: a parameter makes no sense or the folder cannot be written.
    """
    sample, out = Sample(seed, train, val, size, difficulty), Path(out)
    sample.check()
    stamp = {"drawing": DRAWING, **asdict(sample)}
    if _finished(out, stamp):
        return False
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("sample.json", *_ARCHIVES):  # an interrupted redrawing must not leave a mixture
            (out / name).unlink(missing_ok=True)
        documents = {}
        for split, count in (("train2017", sample.train), ("val2017", sample.val)):
            with _archive(out / f"{split}.zip") as archive:
                documents[split] = _draw_split(sample, split, count, archive)
        with _archive(out / "annotations_trainval2017.zip") as archive:
            for split, document in documents.items():
                name, text = f"person_keypoints_{split}.json", json.dumps(document, separators=(",", ":"))
                _store(archive, f"annotations/{name}", text.encode(), zipfile.ZIP_DEFLATED)
        sizes = {name: (out / name).stat().st_size for name in _ARCHIVES}
        _write(out / "sample.json", json.dumps({**stamp, "bytes": sizes}, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"{out}: the sample cannot be written there ({error.strerror or error})") from error
    return True


_ARCHIVES = ("train2017.zip", "val2017.zip", "annotations_trainval2017.zip")


def _finished(out: Path, stamp: dict[str, Any]) -> bool:
    try:
        found = json.loads((out / "sample.json").read_text())
        sizes = {name: (out / name).stat().st_size for name in _ARCHIVES}
    except (OSError, ValueError):
        return False
    return found == {**stamp, "bytes": sizes}


def _draw_split(sample: Sample, split: str, count: int, archive: zipfile.ZipFile) -> dict[str, Any]:
    """Draws a split's pictures into the archive; returns its annotation file."""
    images, annotations = [], []
    with progress.bar(count, what=f"draw {split}", unit="picture") as bar:
        for index in range(count):
            picture, people = draw(sample, split, index)
            number = FIRST_ID[split] + index
            name = f"{number:012d}.jpg"
            encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
            _store(archive, f"{split}/{name}", encoded.tobytes(), zipfile.ZIP_STORED)
            images.append(_image(number, name, sample.size))
            annotations += [{**p, "image_id": number, "id": number * 10 + k} for k, p in enumerate(people)]
            bar.update(1)
    return {
        "info": {
            "description": f"Drawn people, {split}: a sample in the format of COCO 2017",
            "url": "",
            "version": f"{DRAWING}.0",
            "year": 2017,
            "contributor": "openpose.sample",
            "date_created": "2017/09/01",
        },
        "licenses": [{"id": 1, "name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}],
        "images": images,
        "annotations": annotations,
        "categories": [
            {
                "supercategory": "person",
                "id": 1,
                "name": "person",
                "keypoints": list(COCO.source_parts),
                "skeleton": [list(pair) for pair in COCO.source_limbs],
            }
        ],
    }


def _image(number: int, name: str, size: int) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": name,
        "coco_url": "",
        "height": size,
        "width": size,
        "date_captured": "2017-09-01 00:00:00",
        "flickr_url": "",
        "id": number,
    }


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip file that has its name only once it is complete."""
    partial = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            yield archive
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _store(archive: zipfile.ZipFile, name: str, data: bytes, compression: int) -> None:
    entry = zipfile.ZipInfo(name, (2017, 9, 1, 0, 0, 0))  # a fixed time: the same pictures, the same bytes
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data, compression)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m openpose.sample", description="Draws a sample data set in COCO's format."
    )
    parser.add_argument("--out", required=True, help="folder for the archives")
    defaults = Sample()
    for name, text in (
        ("seed", "the same seed draws the same bytes"),
        ("train", "number of pictures in train2017"),
        ("val", "number of pictures in val2017"),
        ("size", "width and height of the pictures in pixels"),
        ("difficulty", "0 (calm, large, apart) to 1 (cluttered, small, overlapping, odd poses)"),
    ):
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{text} (%(default)s)")
    values = vars(parser.parse_args(arguments))
    out = values.pop("out")
    try:
        drawn = make(out, **values)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {'drawn' if drawn else 'found finished with these parameters, nothing to do'}")
    return 0
