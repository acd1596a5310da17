"""Writes found people as JSON documents: in OpenPose's own format, and in COCO's."""

from typing import Any

import numpy as np

from openpose.codec.decode import People
from openpose.skeleton import Skeleton

_PERSON = 1  # COCO's category id
OPENPOSE_VERSION = 1.3  # of the format since OpenPose 1.5
_EMPTY = (
    *("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"),
    *("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d"),
)


def openpose_json(people: People) -> dict[str, Any]:
    """The document that OpenPose writes for one picture (`--write_json`).

    `pose_keypoints_2d` holds x, y and confidence of each part in the skeleton's order, in pixels of the picture, and
    0, 0, 0 for a part that was not found. The skeleton `openpose18` has the parts of OpenPose's COCO model. `person_id`
    is -1 where nobody is followed, as in OpenPose.
    """
    ids = [-1] * len(people) if people.ids is None else people.ids.tolist()
    empty: dict[str, Any] = {name: [] for name in _EMPTY}
    return {
        "version": OPENPOSE_VERSION,
        "people": [
            {"person_id": [number], "pose_keypoints_2d": _numbers(person), **empty}
            for number, person in zip(ids, _bounded(people.keypoints), strict=True)
        ],
    }


def coco_results(image_id: int, people: People, skeleton: Skeleton) -> list[dict[str, Any]]:
    """The people of one picture in COCO's result format.

    A keypoint has its floating-point x and y and visibility 1, or 0, 0, 0 where it was not found. People who are
    followed have a `track_id`, as in PoseTrack.
    """
    return [{"image_id": int(image_id), **person} for person in coco_people(people, skeleton)]


def coco_people(people: People, skeleton: Skeleton) -> list[dict[str, Any]]:
    """The people of one picture as `coco_results` has them, without the picture."""
    source = skeleton.to_source_keypoints(people.keypoints).astype(np.float64)
    source[source[..., 2] <= 0] = 0
    source[..., 2] = source[..., 2] > 0
    tracks = [{}] * len(people) if people.ids is None else [{"track_id": number} for number in people.ids.tolist()]
    return [
        {
            "category_id": _PERSON,
            "keypoints": keypoints.ravel().tolist(),
            "score": float(score),
            **track,
        }
        for keypoints, score, track in zip(source, people.scores, tracks, strict=True)
    ]


def _bounded(keypoints: np.ndarray) -> np.ndarray:
    """Clips the confidences to 0…1, which interpolated maps may overshoot."""
    return np.concatenate([keypoints[..., :2], keypoints[..., 2:].clip(0, 1)], -1)


def _numbers(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values.ravel()]


class CocoPeople:
    """The people of many pictures, as a COCO data set and as COCO results."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        self._images: list[dict[str, Any]] = []
        self._people: list[dict[str, Any]] = []

    def add(self, image_id: int, file_name: str, size: tuple[int, int], people: list[dict[str, Any]]) -> None:
        """Adds a picture.

        Args:
            image_id: its id in COCO.
            file_name: its name.
            size: height and width, pixels.
            people: found in it, as `coco_people` has them.
        """
        self._images.append({"id": image_id, "file_name": file_name, "width": size[1], "height": size[0]})
        self._people += [{"image_id": image_id, **person} for person in people]

    def results(self) -> list[dict[str, Any]]:
        """The people as COCO's evaluation takes them, sorted by image id."""
        people = sorted(self._people, key=lambda person: person["image_id"])
        return [{**person, "keypoints": _numbers(np.array(person["keypoints"]))} for person in people]

    def document(self) -> dict[str, Any]:
        """A data set of all pictures, with those without people; each person also has a `score`."""
        return {
            "images": sorted(self._images, key=lambda image: image["id"]),
            "annotations": [
                {"id": number, **person, **_extent(person["keypoints"])}
                for number, person in enumerate(self.results(), 1)
            ],
            "categories": [self._skeleton.coco_category()],
        }


def _extent(keypoints: list[float]) -> dict[str, Any]:
    """The other fields of a person in COCO's annotations; the box encloses the found keypoints."""
    rows = np.array(keypoints).reshape(-1, 3)
    found = rows[rows[:, 2] > 0, :2]
    low, high = (found.min(0), found.max(0)) if len(found) else (np.zeros(2), np.zeros(2))
    return {
        "num_keypoints": len(found),
        "bbox": _numbers(np.concatenate([low, high - low])),
        "area": round(float(np.prod(high - low)), 3),
        "iscrowd": 0,
    }
