"""How often a followed animal's number changes in a film.

`python -m benchmarks.tracking DATA MODEL` takes a folder of data whose annotations have a `track_id`, with the frames
of one film by the order of their names, and a model for these keypoints. Each label is paired with the nearest animal
that was found. A switch is a label that has another number than when it was found last. Without tracking, the order of
the animals in each frame is their number.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from openpose import image_file, model_files
from openpose.codec.decode import People
from openpose.predict.predictor import Predictor
from openpose.predict.track import Tracker
from openpose.skeleton import Skeleton

MOST = 2.0  # switches per 1,000 frames
NEAR = 0.5  # largest distance of a label and its animal, in diagonals of the label's box
RATE = 25.0


def main() -> int:
    """Prints the switches; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracking", description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="folder of data with track_id")
    parser.add_argument("model", nargs="?", help="a model for its keypoints")
    options = parser.parse_args()
    if not options.model:
        print("tracking: skipped: give a folder of data with track_id, and a model for its keypoints")
        return 0
    model = model_files.load(options.model)
    frames = list(labelled(options.data))
    found = list(people_in(Predictor(model, model.height), (picture for picture, _ in frames)))
    tracker = Tracker(RATE, image_file.read(frames[0][0]).shape[:2])
    followed = [tracker.follow(people) for people in found]
    labels = [label for _, label in frames]
    with_tracker = switches(followed, labels, model.skeleton)
    ordered = [People(one.keypoints, one.scores, np.arange(len(one))) for one in found]
    without = switches(ordered, labels, model.skeleton)
    numbers = len({number for one in followed if one.ids is not None for number in one.ids.tolist()})
    per_1000 = 1000 * with_tracker / len(frames)
    print(
        f"tracking: {len(frames)} frames, {with_tracker} switches, {per_1000:.1f} per 1,000 frames (bound {MOST:g}), "
        f"{numbers} numbers given; without tracking {1000 * without / len(frames):.1f} per 1,000 frames"
    )
    return 1 if per_1000 > MOST else 0


def labelled(data: Path) -> Iterator[tuple[Path, dict[int, np.ndarray]]]:
    """Each frame's file and its labels: keypoints [K, 3] by `track_id`; in the order of the files' names."""
    frames = []
    for file in sorted((data / "annotations").glob("*.json")):
        document = json.loads(file.read_text())
        labels: dict[int, dict[int, np.ndarray]] = {image["id"]: {} for image in document["images"]}
        for one in document["annotations"]:
            labels[one["image_id"]][one["track_id"]] = np.array(one["keypoints"], np.float32).reshape(-1, 3)
        folder = data / file.stem
        frames += [(folder / image["file_name"], labels[image["id"]]) for image in document["images"]]
    return iter(sorted(frames, key=lambda frame: frame[0].name))


def people_in(predictor: Predictor, pictures: Iterable[Path]) -> Iterator[People]:
    """The people in each picture."""
    for picture in pictures:
        yield predictor.people(image_file.read(picture))


def switches(found: list[People], labels: list[dict[int, np.ndarray]], skeleton: Skeleton) -> int:
    """How often a label has another number than when it was found last."""
    last: dict[int, int] = {}
    count = 0
    for people, frame in zip(found, labels, strict=True):
        tracks = list(frame)
        if not tracks or not len(people):
            continue
        keypoints = skeleton.to_source_keypoints(people.keypoints)
        distance = np.array([[_distance(frame[track], person) for person in keypoints] for track in tracks])
        for row, column in zip(*linear_sum_assignment(distance), strict=True):
            if distance[row, column] < NEAR and people.ids is not None:
                number = int(people.ids[column])
                count += last.setdefault(tracks[row], number) != number
                last[tracks[row]] = number
    return count


def _distance(label: np.ndarray, person: np.ndarray) -> float:
    """Mean distance of the keypoints that both have, in diagonals of the label's box."""
    both = (label[:, 2] > 0) & (person[:, 2] > 0)
    size = np.hypot(*np.ptp(label[label[:, 2] > 0, :2], axis=0))
    return float(np.hypot(*(label - person)[both, :2].T).mean() / size) if both.any() else 10.0


if __name__ == "__main__":
    sys.exit(main())
