"""Tells whether a file's boxes are written as two corners (x, y, x, y) in place of x, y, width, height."""

from typing import Any

from openpose.coco.values import all_finite

_FIT, _LEAVE, _SAME = 0.95, 0.2, 0.5  # shares of the people that must speak for corners
_SLACK = 2  # pixels


class BoxForm:
    """Collects what the boxes of a file look like.

    Boxes are taken for corners if nearly all of them hold their keypoints as corners, and, as x, y, width and height,
    many of them leave the picture, or most of their areas are those of the corners.
    """

    def __init__(self) -> None:
        self._width = self._height = 0.0
        self._told = self._fit = self._leave = self._same = 0

    def add_image(self, image: dict[str, Any]) -> None:
        """Adds an entry of `images`."""
        width: Any = image.get("width")
        height: Any = image.get("height")
        if all_finite([width, height]):
            self._width, self._height = max(self._width, width), max(self._height, height)

    def add(self, person: dict[str, Any]) -> None:
        """Adds an entry of `annotations`."""
        box, keypoints = person.get("bbox"), person.get("keypoints")
        if not isinstance(box, list) or len(box) != 4 or not isinstance(keypoints, list) or not all_finite(box):
            return
        left, top, right, bottom = box
        if 10 * left <= right and 10 * top <= bottom:  # both ways of reading give nearly the same box
            return
        if len(keypoints) < 3 or not all_finite(keypoints) or not any(keypoints[2::3]):
            return
        self._told += 1
        # An unlabelled keypoint is 0, 0 and changes no maximum.
        if left < right and top < bottom:
            self._fit += max(keypoints[::3]) <= right + _SLACK and max(keypoints[1::3]) <= bottom + _SLACK
            area = person.get("area")
            if all_finite([area]) and area:
                self._same += abs((right - left) * (bottom - top) - area) < 0.02 * area
        if self._width:
            self._leave += left + right > self._width + _SLACK or top + bottom > self._height + _SLACK

    @property
    def corners(self) -> bool:
        """Whether the boxes so far are two corners each."""
        fits = self._told > 0 and self._fit >= _FIT * self._told
        return fits and (self._leave >= _LEAVE * self._told or self._same > _SAME * self._told)
