"""People and annotations for the tests of scores."""

from typing import Any

import numpy as np

from openpose.codec.decode import People
from openpose.skeleton import OPENPOSE18 as OPENPOSE


def person(seed: int, size: float = 200) -> np.ndarray:
    """Parts [18, 3] of one person, all found; the neck is between the shoulders."""
    keypoints = np.random.default_rng(seed).uniform(20, 20 + size, (1, 17, 2)).astype(np.float32)
    parts, _ = OPENPOSE.part_keypoints(keypoints, np.full((1, 17), 2))
    return np.concatenate([parts[0], np.ones((18, 1), np.float32)], -1)


def people(*persons: np.ndarray, scores: tuple[float, ...] = ()) -> People:
    ranks = np.array(scores or np.ones(len(persons)), np.float32)
    return People(np.array(persons, np.float32).reshape(-1, 18, 3), ranks)


def annotations(persons: dict[int, list[np.ndarray]]) -> dict[str, Any]:
    """A COCO document with these people in these pictures."""
    entries: list[dict[str, Any]] = []
    for image_id, members in persons.items():
        for parts in members:
            keypoints = OPENPOSE.to_source_keypoints(parts[None])[0].copy()
            keypoints[:, 2] = 2 * (keypoints[:, 2] > 0)
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": image_id,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": float(np.ptp(parts[:, 0]) * np.ptp(parts[:, 1])),
                    "bbox": [0.0, 0.0, 300.0, 300.0],
                    "keypoints": keypoints.ravel().tolist(),
                    "num_keypoints": int((keypoints[:, 2] > 0).sum()),
                }
            )
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 300, "height": 300} for i in persons]
    return {"images": images, "annotations": entries, "categories": [{"id": 1, "name": "person"}]}
