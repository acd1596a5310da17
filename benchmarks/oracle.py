"""The oracle: COCO AP of the decoded true maps, an upper bound for any network with these targets.

`python -m benchmarks.oracle [--data FOLDER]` encodes the labelled people of a validation split at a height of 368
pixels and stride 8, decodes these maps and prints COCO AP: for a drawn sample, and for real annotations (FOLDER in
COCO's layout; without it the developers' `../shared/coco` if present). It fails when either is below its bound; the
last line is about the real pictures, if there are any.

The reference is the scorer's own ceiling in the same run: the labelled keypoints themselves, of people with enough
parts. Two figures in between show what is lost where: found peaks grouped by the truth, and true positions grouped by
the decoder.
"""

import argparse
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks import _pictures
from openpose import skeleton
from openpose.codec import encode as targets
from openpose.codec.decode import DecodeParameters, Peaks, People, decode, find_peaks, group
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.errors import InputError
from openpose.evaluation import score
from openpose.predict.results import coco_results
from openpose.records.picture import Picture

NAME = "oracle"
BOUND_REAL, BOUND_SAMPLE = 0.89, 0.96  # of AP
HEIGHT = 368
STRIDE = targets.TargetParameters.stride
SAMPLE_PICTURES = 200
SHARED = Path(os.environ.get("OPENPOSE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
ANNOTATIONS = "annotations/person_keypoints_val2017.json"
OPENPOSE = skeleton.get("openpose18")
PARAMETERS = DecodeParameters()


@dataclass(frozen=True)
class Scene:
    """The labelled people of one picture and their true maps; coordinates in cells."""

    picture: Picture
    scale: float
    keypoints: np.ndarray  # [P, K, 2]
    labelled: np.ndarray  # bool [P, K]
    heatmap: np.ndarray
    vectmap: np.ndarray


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oracle", description="Decodes true maps.")
    parser.add_argument("--data", type=Path, help="folder with real data in COCO's layout")
    data = parser.parse_args(arguments).data
    cv2.setNumThreads(1)  # so that the time is that of one core
    try:
        with tempfile.TemporaryDirectory() as folder:
            figure, bound = measure("sample", draw_sample(Path(folder))), BOUND_SAMPLE
        holds = figure >= bound
        real = data or SHARED / "coco"
        if data or (real / ANNOTATIONS).exists():
            figure, bound = measure("real", real / ANNOTATIONS), BOUND_REAL
            holds &= figure >= bound
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{NAME}: {figure:.3f} (bound {bound:.3f})")
    return 0 if holds else 1


def draw_sample(folder: Path) -> Path:
    """Draws a data set; returns its validation annotations."""
    dataset.make(folder, Sample(seed=0, train=1, val=SAMPLE_PICTURES))
    return unpacked(folder)


def unpacked(folder: Path) -> Path:
    """Unpacks the validation annotations of a drawn data set into its folder; returns their path."""
    with zipfile.ZipFile(folder / "annotations_trainval2017.zip") as archive:
        archive.extract(ANNOTATIONS, folder)
    return folder / ANNOTATIONS


def measure(name: str, path: Path) -> float:
    """Prints the table of one data set; returns the decoder's AP."""
    scenes = [encode(picture) for picture in _pictures.read(path, OPENPOSE)]
    started = time.process_time()
    found = [decode(scene.heatmap, scene.vectmap, OPENPOSE, PARAMETERS) for scene in scenes]
    milliseconds = 1e3 * (time.process_time() - started) / len(scenes)
    people = sum(len(scene.keypoints) for scene in scenes)
    print(f"{name}: {len(scenes)} images, {people} people with keypoints; decoding {milliseconds:.1f} ms/image")
    print(f"  {'':58}{'AP':>7}{'AP50':>7}{'AR':>7}")
    print_row("labelled keypoints themselves", path, scenes, [truth(scene, 1) for scene in scenes])
    ceiling = [truth(scene, OPENPOSE.min_parts) for scene in scenes]
    print_row(f"the same, people with {OPENPOSE.min_parts} or more parts (reference)", path, scenes, ceiling)
    print_row("peaks found, grouped by the truth", path, scenes, [peaks_of_truth(scene) for scene in scenes])
    grouped = [group(true_peaks(scene), scene.vectmap, OPENPOSE, PARAMETERS) for scene in scenes]
    print_row("true positions, grouped by the decoder", path, scenes, grouped)
    ap = print_row("oracle: peaks found, grouped by the decoder", path, scenes, found)
    print_losses(scenes, found)
    return ap


def encode(picture: Picture, height: int = HEIGHT) -> Scene:
    """The true maps of a picture resized to a height, keeping its aspect ratio."""
    keypoints, labelled = OPENPOSE.part_keypoints(
        picture.keypoints[picture.labelled], picture.visibility[picture.labelled]
    )
    scale = height / picture.height
    grid = -(-height // STRIDE), -(-max(1, round(picture.width * scale)) // STRIDE)
    heatmap, vectmap = targets.encode((keypoints + 0.5) * scale - 0.5, labelled, grid, OPENPOSE)
    cells = (keypoints + 0.5) * scale / STRIDE - 0.5
    return Scene(picture, scale, cells, labelled, heatmap.numpy(), vectmap.numpy())


def truth(scene: Scene, min_parts: int) -> People:
    """The labelled people themselves, scored by their number of parts."""
    count = scene.labelled.sum(1)
    kept = count >= min_parts
    keypoints = np.concatenate([scene.keypoints, scene.labelled[..., None]], -1)[kept].astype(np.float32)
    return People(keypoints, count[kept] / np.float32(OPENPOSE.num_parts))


def true_peaks(scene: Scene) -> Peaks:
    """The labelled positions, exact and complete, as the decoder's candidates."""
    person, part = np.nonzero(scene.labelled)
    order = np.argsort(part, kind="stable")
    person, part = person[order], part[order]
    return Peaks(scene.keypoints[person, part], np.ones(len(part), np.float32), part)


def peaks_of_truth(scene: Scene) -> People:
    """The labelled people, each part moved to the nearest peak within 1.5 cells, or dropped."""
    people = truth(scene, OPENPOSE.min_parts)
    peaks = find_peaks(scene.heatmap, OPENPOSE, PARAMETERS)
    for person in people.keypoints:
        for part in np.flatnonzero(person[:, 2]):
            candidates = peaks.xy[peaks.part == part]
            distance = np.linalg.norm(candidates - person[part, :2], axis=-1)
            near = distance.min(initial=np.inf) < 1.5
            person[part] = [*candidates[distance.argmin()], 1] if near else 0
    return people


def print_row(name: str, path: Path, scenes: list[Scene], found: list[People]) -> float:
    """Scores people in cells, prints a row, returns AP."""
    detections = [
        result
        for scene, people in zip(scenes, found, strict=True)
        for result in coco_results(scene.picture.id, people.in_pixels(STRIDE, scene.scale), OPENPOSE)
    ]
    figures = score.average_precision(path, detections, OPENPOSE)
    if figures["AP"] is None:
        raise InputError(f"{path}: no person has labelled keypoints, so AP is undefined; give other data")
    print(f"  {name:58}" + "".join(f"{figures[key]:7.3f}" for key in ("AP", "AP50", "AR")))
    return figures["AP"]


def print_losses(scenes: list[Scene], found: list[People]) -> None:
    """Prints which people are lost; a person counts for the first kind that applies."""
    kinds: dict[str, Callable[[Scene], np.ndarray]] = {
        f"fewer than {OPENPOSE.min_parts} parts": lambda s: s.labelled.sum(1) < OPENPOSE.min_parts,
        "a part within a cell of another person's": shares_a_cell,
        "in pieces: no limbs between some parts": in_pieces,
        "other people": lambda s: np.ones(len(s.keypoints), bool),
    }
    kind = np.concatenate([np.argmax([is_kind(scene) for is_kind in kinds.values()], 0) for scene in scenes])
    best = np.concatenate([best_similarity(*pair) for pair in zip(scenes, found, strict=True)])
    print(f"  {'lost (OKS below 0.75):':58}{'people':>7}{'lost':>7}")
    for number, name in enumerate(kinds):
        print(f"    {name:56}{(kind == number).sum():7}{(best[kind == number] < 0.75).sum():7}")


def shares_a_cell(scene: Scene) -> np.ndarray:
    """bool [P]: a part is closer than one cell to the same part of another person."""
    distance = np.linalg.norm(scene.keypoints[:, None] - scene.keypoints, axis=-1)  # [P, P, K]
    both = scene.labelled[:, None] & scene.labelled
    both[np.arange(len(both)), np.arange(len(both))] = False
    return (both & (distance < 1)).any((1, 2))


def in_pieces(scene: Scene) -> np.ndarray:
    """bool [P]: limbs between labelled parts do not connect all labelled parts."""
    reach = np.eye(OPENPOSE.num_parts, dtype=bool) | np.zeros((len(scene.labelled), 1, 1), bool)
    for a, b in OPENPOSE.limbs:
        reach[:, a, b] = reach[:, b, a] = scene.labelled[:, a] & scene.labelled[:, b]
    for _ in range(5):  # paths of up to 32 limbs
        reach = reach @ reach
    both = scene.labelled[:, :, None] & scene.labelled[:, None, :]
    return (both & ~reach).any((1, 2))


def best_similarity(scene: Scene, found: People) -> np.ndarray:
    """float [P]: the best object keypoint similarity (OKS) between each labelled person and a found one."""
    if not len(found):
        return np.zeros(len(scene.keypoints))
    keypoints = found.in_pixels(STRIDE, scene.scale).keypoints
    source = OPENPOSE.to_source_keypoints(keypoints)[None, ..., :2]
    picture = scene.picture
    labelled = (picture.visibility >= 1)[picture.labelled][:, None]
    squared = ((picture.keypoints[picture.labelled][:, None] - source) ** 2).sum(-1)
    variance = (2 * np.array(OPENPOSE.source_sigmas)) ** 2
    area = picture.area[picture.labelled].astype(np.float64)[:, None, None]
    similarity = np.exp(-squared / (2 * variance * (area + np.spacing(1))))
    return ((similarity * labelled).sum(-1) / labelled.sum(-1)).max(1)


if __name__ == "__main__":
    sys.exit(main())
