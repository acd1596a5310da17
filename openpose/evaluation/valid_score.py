"""COCO AP during training, on some of the validation pictures."""

from collections.abc import Callable
from typing import Any

from openpose.errors import InputError
from openpose.evaluation import score
from openpose.predict.predictor import Predictor
from openpose.predict.results import coco_results
from openpose.records import read
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton


class ValidScore:
    """Scores networks on the first pictures of a split, a random sample because records are shuffled.

    Args:
        split: manifest of the records.
        images: number of pictures; all when the split has fewer.
        skeleton: of the people.

    Attributes:
        truth: annotations of these pictures in COCO's format.

    Raises:
        InputError: AP is undefined because nobody in these pictures is labelled.
    """

    def __init__(self, split: RecordsManifest, images: int, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        self._examples = read.examples(split, skeleton).take(images)  # made once: that takes longer than to read a few
        self.truth = read.ground_truth(self._examples, skeleton)
        if not any(person["num_keypoints"] and not person["iscrowd"] for person in self.truth["annotations"]):
            raise InputError(
                f"ap_images is {images}, but nobody is labelled in the first {len(self.truth['images'])} pictures of "
                f"{split.folder}, so that COCO AP is undefined there; give a larger number, or 0 for no AP"
            )

    def ap(self, predictor: Predictor, stopped: Callable[[], bool]) -> float | None:
        """Computes COCO AP, 0…1, as `components.evaluate` does for the whole split.

        Args:
            predictor: of the network.
            stopped: asked before each picture.

        Returns:
            AP; None if it was stopped.
        """
        detections = self.detections(predictor, stopped)
        return None if detections is None else score.average_precision(self.truth, detections, self._skeleton)["AP"]

    def detections(self, predictor: Predictor, stopped: Callable[[], bool]) -> list[dict[str, Any]] | None:
        """Finds people in the pictures; returns COCO results, or None if it was stopped."""
        detections: list[dict[str, Any]] = []
        for record in self._examples.as_numpy_iterator():
            if stopped():
                return None
            people = predictor.people(read.decode_picture(record))
            detections += coco_results(int(record["id"]), people, self._skeleton)
        return detections
