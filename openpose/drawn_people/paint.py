"""Anti-aliased shapes, shaded by one light."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from openpose.drawn_people.colours import Array, Colour

SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with
LIGHT = (-0.5, -0.85)  # the direction to the light in the picture

Circle = tuple[Array, float]  # centre and radius, pixels

_ANGLES = np.arange(20) * (2 * np.pi / 20)
_UNIT_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)


def hull(circles: Sequence[Circle], factor: float = 1.0, grow: float = 0.0, shift: float = 0.0) -> Array:
    """The outline around circles as a fixed-point polygon of OpenCV, moved by `shift` radii towards the light."""
    pieces = []
    for centre, radius in circles:  # one by one: faster than arrays of so few circles
        x, y = centre[0] + radius * (LIGHT[0] * shift), centre[1] + radius * (LIGHT[1] * shift)
        pieces.append(_UNIT_CIRCLE * (radius * factor + grow) + (x, y))
    return cv2.convexHull(np.rint(np.concatenate(pieces) * 2**SHIFT).astype(np.int32))


def fill(image: Array, polygon: Array, colour: Colour, factor: float = 1.0) -> None:
    colour = tuple(min(255.0, c * factor) for c in colour)
    cv2.fillConvexPoly(image, polygon, colour, cv2.LINE_AA, SHIFT)


@dataclass(frozen=True)
class Shape:
    """Rounded pieces of one colour, shaded as one solid."""

    colour: Colour
    pieces: list[list[Circle]]
    shine: float = 0.1  #: extra brightness of the brightest spot


def paint_shape(image: Array, shape: Shape) -> None:
    for factor, shift, light in ((1.0, 0.0, 0.78), (0.76, 0.2, 1.0), (0.36, 0.42, 1.0 + shape.shine)):
        for piece in shape.pieces:
            fill(image, hull(piece, factor, 0, shift), shape.colour, light)


def gradient(height: int, width: int, top: Colour, bottom: Colour) -> Array:
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    column = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    return np.repeat(column, width, 1)


def rectangle(image: Array, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    corners = np.round(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) * 2**SHIFT).astype(np.int32)
    cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA, SHIFT)
