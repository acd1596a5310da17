"""Draws skeletons, heatmaps and vectmaps (PAF) over a copy of a picture, RGB uint8 [H, W, 3]."""

import colorsys

import cv2
import numpy as np

from openpose.codec import channels
from openpose.codec.decode import People
from openpose.skeleton import OPENPOSE18, Skeleton

# OpenPose finds these limbs, which connect a head to its shoulders, but does not draw them.
_NOT_DRAWN = {("right_shoulder", "right_ear"), ("left_shoulder", "left_ear")}
# These come last on the circle of hues, whatever their index.
_LAST_HUES = ("left_ear", "left_eye", "right_ear", "right_eye", "nose")
_OPACITY = 0.7
_SHIFT = 4  # OpenCV's fixed-point coordinates: 1/16 pixel


def skeletons(image: np.ndarray, people: People, skeleton: Skeleton) -> np.ndarray:
    """Draws limbs and parts: each part has its own colour, and each limb that of its second part.

    People who are followed have their number above them.

    Args:
        image: RGB uint8 [H, W, 3].
        people: in pixels of this image.

    Returns:
        A new picture of the same shape.
    """
    colours = part_colours(skeleton)
    painted = image.copy()
    for person in people.keypoints:
        for width, start, end, part in _limb_lines(person, skeleton, image.shape):
            cv2.line(painted, start, end, colours[part], width, cv2.LINE_AA, _SHIFT)
    painted = cv2.addWeighted(painted, _OPACITY, image, 1 - _OPACITY, 0)
    for person in people.keypoints:
        radius = round(0.6 * _thickness(person, image.shape) * 2**_SHIFT)
        for part in np.flatnonzero(person[:, 2] > 0):
            cv2.circle(painted, _fixed_point(person[part]), radius, colours[part], -1, cv2.LINE_AA, _SHIFT)
    for person, number in zip(people.keypoints, [] if people.ids is None else people.ids, strict=False):
        _write_number(painted, person, int(number))
    return painted


def _write_number(image: np.ndarray, person: np.ndarray, number: int) -> None:
    """Writes a number above a person, white with a dark rim; in the picture, also at its border."""
    found = person[person[:, 2] > 0, :2]
    if not len(found):
        return
    text, font, scale = str(number), cv2.FONT_HERSHEY_SIMPLEX, max(0.4, min(image.shape[:2]) / 700)
    (width, height), _ = cv2.getTextSize(text, font, scale, 1)
    x = np.clip(found[:, 0].mean() - width / 2, 1, max(1, image.shape[1] - width - 1))
    y = np.clip(found[:, 1].min() - height, height + 1, image.shape[0] - 1)
    for thickness, colour in ((round(4 * scale) + 1, (0, 0, 0)), (max(1, round(1.5 * scale)), (255, 255, 255))):
        cv2.putText(image, text, (round(x), round(y)), font, scale, colour, thickness, cv2.LINE_AA)


def part_colours(skeleton: Skeleton) -> list[tuple[int, int, int]]:
    """An RGB colour for each part: OpenPose's circle of hues, from the red neck to the limbs and the face."""
    order = [part for part in skeleton.parts if part not in _LAST_HUES]
    order += [part for part in _LAST_HUES if part in skeleton.parts]
    hues = (order.index(part) / len(order) for part in skeleton.parts)
    return [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 1, 1)) for hue in hues]  # type: ignore[misc]


def heatmap(image: np.ndarray, heatmap: np.ndarray, cell: float | tuple[float, float] | None = None) -> np.ndarray:
    """Draws, at each pixel, the highest value of the parts' heatmaps.

    Args:
        image: RGB uint8 [H, W, 3].
        heatmap: float [h, w, K + 1]; the last channel, background, is not drawn.
        cell: size of a cell in pixels of the image, one number or (x, y); by default the maps cover exactly the image.
    """
    strength = _stretch(heatmap[..., :-1].max(-1).clip(0, 1), image, cell)
    coloured = cv2.applyColorMap((255 * strength).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    return _blend(image, coloured, 0.15 + 0.6 * strength)


def vectmap(image: np.ndarray, vectmap: np.ndarray, cell: float | tuple[float, float] | None = None) -> np.ndarray:
    """Draws, at each pixel, the limb with the longest vector: hue is its direction, opacity its length.

    Args:
        image: RGB uint8 [H, W, 3].
        vectmap: float [h, w, 2 L].
        cell: as in `heatmap`.
    """
    (h, w, count), factor = vectmap.shape, 4
    if not count:
        return image.copy()
    # Upsample before choosing the longest limb, so that its edges are finer than the cells.
    fine = channels.resize(vectmap.astype(np.float32), (w * factor, h * factor), cv2.INTER_LINEAR)
    vectors = fine.reshape(h * factor, w * factor, count // 2, 2)
    longest = np.linalg.norm(vectors, axis=-1).argmax(-1)[..., None, None]
    vector = np.take_along_axis(vectors, longest, 2)[:, :, 0]
    cell = None if cell is None else tuple(np.broadcast_to(cell, 2) / factor)
    length = _stretch(np.linalg.norm(vector, axis=-1).clip(0, 1), image, cell)
    # Take the nearest direction: at the border of two limbs the mean of both would be wrong.
    angle = _stretch(np.arctan2(vector[..., 1], vector[..., 0]), image, cell, cv2.INTER_NEAREST)
    hue = (np.degrees(angle) % 360 / 2).astype(np.uint8)
    full = np.full_like(hue, 255)
    return _blend(image, cv2.cvtColor(np.stack([hue, full, full], -1), cv2.COLOR_HSV2RGB), 0.85 * length)


def side_by_side(*images: np.ndarray, gap: int = 8) -> np.ndarray:
    """Puts pictures in a row, with `gap` white pixels between them and white below the shorter ones."""
    height = max(image.shape[0] for image in images)
    columns = []
    for index, image in enumerate(images):
        left = gap if index else 0
        columns.append(np.pad(image, ((0, height - image.shape[0]), (left, 0), (0, 0)), constant_values=255))
    return np.concatenate(columns, 1)


def _limb_lines(person: np.ndarray, skeleton: Skeleton, shape: tuple[int, ...]) -> list:
    """Lists (width, start, end, part that gives the colour) of the limbs with both parts found."""
    width = max(1, round(_thickness(person, shape)))
    hidden = _NOT_DRAWN if skeleton == OPENPOSE18 else set()
    drawn = [ends for name, ends in zip(skeleton.limb_names, skeleton.limbs, strict=True) if name not in hidden]
    return [
        (width, _fixed_point(person[a]), _fixed_point(person[b]), b)
        for a, b in drawn
        if person[a, 2] > 0 and person[b, 2] > 0
    ]


def _thickness(person: np.ndarray, shape: tuple[int, ...]) -> float:
    """Line width in pixels: proportional to the picture, thinner for people who are small in it."""
    picture = 0.01 * max(shape[:2])
    found = person[person[:, 2] > 0, :2]
    size = float(np.ptp(found, 0).max()) if len(found) else 0.0
    return max(1.0, min(picture, 0.2 * picture + 0.025 * size))


def _fixed_point(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0]) * 2**_SHIFT), round(float(point[1]) * 2**_SHIFT)


def _stretch(
    values: np.ndarray,
    image: np.ndarray,
    cell: float | tuple[float, float] | None,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Resamples cells [h, w] to float32 [H, W], the pixels of the image."""
    (h, w), (height, width) = values.shape, image.shape[:2]
    cell_x, cell_y = (width / w, height / h) if cell is None else np.broadcast_to(cell, 2)
    # Pixel x is at (x + 0.5) / cell - 0.5 in cells.
    matrix = np.array([[1 / cell_x, 0, 0.5 / cell_x - 0.5], [0, 1 / cell_y, 0.5 / cell_y - 0.5]])
    return cv2.warpAffine(
        values.astype(np.float32),
        matrix,
        (width, height),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _blend(image: np.ndarray, colour: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    opacity = opacity[..., None]
    return np.rint(image * (1 - opacity) + colour * opacity).astype(np.uint8)
