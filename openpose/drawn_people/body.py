"""A person's body as shapes, painted back to front."""

from dataclasses import dataclass

import cv2
import numpy as np

from openpose.drawn_people.colours import Array
from openpose.drawn_people.doll import Person
from openpose.drawn_people.paint import SHIFT, Shape, fill, hull, paint_shape


@dataclass(frozen=True)
class _Group:
    """Shapes that lie at one depth: an arm, a leg, the trunk, the head."""

    name: str
    depth: float
    shapes: list[Shape]


GROUPS = ("trunk", "head", "left_arm", "right_arm", "left_leg", "right_leg")
_JOINT_GROUPS = {"shoulder": ("trunk", "arm"), "elbow": ("arm",), "wrist": ("arm",)}
_JOINT_GROUPS |= {"hip": ("trunk", "leg"), "knee": ("leg",), "ankle": ("leg",)}


def groups_of(keypoint: str) -> set[str]:
    """The groups that may cover a keypoint which still counts as seen."""
    side, _, joint = keypoint.partition("_")
    if joint not in _JOINT_GROUPS:
        return {"head"}
    return {group if group == "trunk" else f"{side}_{group}" for group in _JOINT_GROUPS[joint]}


def _between(a: Array, b: Array, t: float) -> Array:
    return a + (b - a) * t


def _arm(person: Person, side: str) -> _Group:
    p, style, unit = person.points, person.style, person.scale * person.style.build
    shoulder, elbow, wrist, hand = (p[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist", "hand"))
    palm = [(wrist, 0.024 * unit), (hand, 0.024 * unit)]
    fore = [(elbow, 0.032 * unit), (wrist, 0.024 * unit)]
    if style.sleeve == "long":
        upper = [(shoulder, 0.043 * unit), (elbow, 0.036 * unit)]
        sleeve = [(elbow, 0.036 * unit), (_between(elbow, wrist, 0.92), 0.03 * unit)]
        shapes = [Shape(style.skin, [palm]), Shape(style.shirt, [upper, sleeve])]
    else:
        end = _between(shoulder, elbow, 0.6 if style.sleeve == "short" else 0.08)
        bare = [(end, 0.036 * unit), (elbow, 0.033 * unit)]
        sleeve = [(shoulder, 0.044 * unit), (end, 0.043 * unit)]
        shapes = [Shape(style.skin, [bare, fore, palm]), Shape(style.shirt, [sleeve])]
    depth = (shoulder[2] + elbow[2] + 2 * wrist[2]) / 4
    return _Group(f"{side}_arm", depth + 0.03 * person.scale, shapes)


def _leg(person: Person, side: str, trunk: float) -> _Group:
    p, style, unit = person.points, person.style, person.scale * person.style.build
    hip, knee, ankle, toe = (p[f"{side}_{j}"] for j in ("hip", "knee", "ankle", "toe"))
    shoe = Shape(style.shoe, [[(ankle, 0.031 * unit), (toe, 0.026 * unit)]], 0.2)
    if style.bottom == "trousers":
        thigh = [(hip, 0.058 * unit), (knee, 0.043 * unit)]
        shin = [(knee, 0.043 * unit), (_between(knee, ankle, 0.93), 0.034 * unit)]
        shapes = [shoe, Shape(style.legs, [thigh, shin])]
    else:
        end = _between(hip, knee, 0.72 if style.bottom == "shorts" else 0.3)
        bare = [(end, 0.046 * unit), (knee, 0.04 * unit)]
        shin = [(knee, 0.04 * unit), (ankle, 0.026 * unit)]
        leg = [(hip, 0.06 * unit), (end, 0.056 * unit)]
        shapes = [Shape(style.skin, [bare, shin]), shoe, Shape(style.legs, [leg])]
    lap = knee[2] - hip[2] > 0.12 * person.scale  # a thigh that points at the viewer covers the shirt
    depth = (hip[2] + 2 * knee[2] + ankle[2]) / 4
    return _Group(f"{side}_leg", depth if lap else min(depth, trunk - 0.01 * person.scale), shapes)


def _trunk(person: Person) -> _Group:
    p, style, unit = person.points, person.style, person.scale * person.style.build
    hips, belts = ([p["left_" + n], p["right_" + n]] for n in ("hip", "belt"))
    shoulders = [p["left_shoulder"], p["right_shoulder"]]
    pelvis = [(point, 0.06 * unit) for point in hips] + [(point, 0.05 * unit) for point in belts]
    bottom = [pelvis]
    if style.bottom == "skirt":
        hem = [(_between(p[s + "_hip"], p[s + "_knee"], 0.75), 0.055 * unit) for s in ("left", "right")]
        bottom = [[(point, 0.06 * unit) for point in hips] + hem, pelvis]
    chest = [(point, 0.045 * unit) for point in shoulders] + [(point, 0.052 * unit) for point in belts]
    shapes = [Shape(style.legs, bottom), Shape(style.shirt, [chest])]
    if style.stripe is not None:
        band = [(_between(s, b, t), 0.05 * unit) for t in (0.42, 0.5) for s, b in zip(shoulders, belts, strict=True)]
        shapes.append(Shape(style.stripe, [[(point, radius * 0.4) for point, radius in band]], 0.0))
    neck = [(p["neck"], 0.03 * unit), (p["head"], 0.03 * unit)]
    shapes.insert(0, Shape(style.skin, [neck]))
    return _Group("trunk", np.mean([point[2] for point in hips + shoulders]), shapes)


def _head(person: Person, trunk: float) -> list[_Group]:
    """The head in front of the trunk, and for a face its hair behind the trunk; `trunk` is a depth."""
    p, style, unit = person.points, person.style, person.scale * person.head
    bald = style.cut == "bald"
    hair = style.cap if style.cut == "cap" else style.skin if bald else style.hair
    back = [[(p["skull"], (0.05 if bald else 0.06) * unit)]]
    if style.cut == "bob":
        back.append([(p["skull"], 0.06 * unit), (p["nape"], 0.052 * unit)])
    if style.cut == "bun":
        back.append([(p["bun"], 0.03 * unit)])
    face = Shape(style.skin, [[(p["face"], 0.052 * unit), (p["chin"], 0.034 * unit)]])
    lock = [(p["left_temple"], 0.017 * unit), (p["right_temple"], 0.017 * unit), (p["crown"], 0.02 * unit)]
    fringe = [] if bald else [Shape(hair, [lock], 0.05)]
    ears = [Shape(style.skin, [[(p[e], 0.017 * unit)]]) for e in ("left_ear", "right_ear") if e not in person.hidden]
    near, far = max(trunk, p["head"][2]) + 0.01 * unit, trunk - 0.01 * unit
    if p["nose"][2] > p["head"][2]:
        return [_Group("head", far, [Shape(hair, back)]), _Group("head", near, [*ears, face, *fringe])]
    return [_Group("head", near, [face, *ears, Shape(hair, back)])]


def _paint_face(image: Array, person: Person) -> None:
    p, unit, skin = person.points, person.scale * person.head, person.style.skin
    across = (p["left_eye"] - p["right_eye"])[:2] / 2
    up = np.array([across[1], -across[0]]) / max(1e-6, np.hypot(*across)) * unit
    for eye in ("left_eye", "right_eye"):
        if eye in person.hidden:
            continue
        fill(image, hull([(p[eye], 0.0125 * unit)]), (250, 250, 248))
        fill(image, hull([(p[eye], 0.0085 * unit)]), (40, 30, 32))
        brow = p[eye][:2] + 0.019 * up
        fill(
            image,
            hull([(brow - 0.5 * across, 0.0035 * unit), (brow + 0.5 * across, 0.0035 * unit)]),
            skin,
            0.4,
        )
    if "nose" not in person.hidden:
        fill(image, hull([(p["nose"], 0.0095 * unit), (p["nose"][:2] + 0.015 * up, 0.005 * unit)]), skin, 0.75)
        if p["mouth"][2] - p["head"][2] > 0.02 * unit:
            smile = [p["mouth"][:2] + 0.7 * t * across - 0.009 * (1 - t * t) * up for t in (-1, -0.5, 0, 0.5, 1)]
            points = np.round(np.array(smile) * 2**SHIFT).astype(np.int32)
            dark = (0.62 * skin[0], 0.36 * skin[1], 0.36 * skin[2])
            cv2.polylines(image, [points], False, dark, max(1, round(0.007 * unit)), cv2.LINE_AA, SHIFT)


def paint_person(image: Array, owner: Array, person: Person, number: int) -> None:
    """Paints a person on `image`, and 8 · `number` + 1 + index of the group on `owner`, an int32 map."""
    trunk = _trunk(person)
    groups = [trunk, *_head(person, trunk.depth)]
    for side in ("left", "right"):
        groups += [_arm(person, side), _leg(person, side, trunk.depth)]
    rim = max(0.5, 0.005 * person.scale)
    for group in sorted(groups, key=lambda group: group.depth):
        code = 8 * number + GROUPS.index(group.name) + 1
        for shape in group.shapes:
            for piece in shape.pieces:
                outline = hull(piece, 1, rim)
                fill(image, outline, shape.colour, 0.45)
                cv2.fillConvexPoly(owner, outline, code, cv2.LINE_8, SHIFT)
        for shape in group.shapes:
            paint_shape(image, shape)
    _paint_face(image, person)
