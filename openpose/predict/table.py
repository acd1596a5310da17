"""Tables of the people in a film, as users of DeepLabCut and SLEAP load them.

A CSV file has DeepLabCut's columns for several animals (scorer, individuals, bodyparts, coords) and a row for each
frame. An HDF5 file is what SLEAP calls an analysis file. Both have NaN, or nothing, where nobody was found.
"""

import csv
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from openpose.codec.decode import People
from openpose.skeleton import Skeleton

Kind = Literal["csv", "h5"]
SCORER = "openpose"


class Table:
    """The people of a film.

    Args:
        skeleton: of the people.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        self._frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, people: People) -> None:
        """Adds the next frame's people, who have `ids`."""
        assert people.ids is not None
        keypoints = self._skeleton.to_source_keypoints(people.keypoints).astype(np.float32)
        self._frames.append((people.ids, keypoints, people.scores))

    def write(self, kind: Kind, path: Path, film: Path) -> None:
        """Writes the table.

        Args:
            kind: of the file.
            path: the file.
            film: the film's file, which the table names.
        """
        ids = sorted({int(number) for frame, _, _ in self._frames for number in frame})
        names = [f"{self._skeleton.category}{number}" for number in ids]
        points = np.full((len(self._frames), len(ids), len(self._skeleton.source_parts), 3), np.nan, np.float32)
        scores = np.full((len(self._frames), len(ids)), np.nan, np.float32)
        for number, (present, keypoints, people_scores) in enumerate(self._frames):
            columns = np.searchsorted(ids, present)
            points[number, columns] = np.where(keypoints[..., 2:] > 0, keypoints, np.nan)
            scores[number, columns] = people_scores
        if kind == "csv":
            self._write_csv(path, names, points)
        else:
            self._write_h5(path, names, points, scores, film)

    def _write_csv(self, path: Path, names: list[str], points: np.ndarray) -> None:
        columns = [(SCORER, name, part, of) for name in names for part in self._skeleton.source_parts for of in _COORDS]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            for level, title in enumerate(("scorer", "individuals", "bodyparts", "coords")):
                writer.writerow([title, *(column[level] for column in columns)])
            for number, row in enumerate(points.reshape(len(points), -1)):
                writer.writerow([number, *("" if np.isnan(value) else f"{value:.3f}" for value in row)])

    def _write_h5(self, path: Path, names: list[str], points: np.ndarray, scores: np.ndarray, film: Path) -> None:
        order = (1, 3, 2, 0)  # [frames, people, keypoints, 3] to SLEAP's [people, 3, keypoints, frames]
        tracks = points.transpose(order)
        parts = self._skeleton.source_parts
        content = {
            "tracks": tracks[:, :2],
            "point_scores": tracks[:, 2],
            "instance_scores": scores.T,
            "track_occupancy": (~np.isnan(scores)).astype(np.uint8),
            "track_names": np.array(names, "S"),
        }
        with h5py.File(path, "w") as file:
            for name, values in content.items():
                file.create_dataset(name, data=values, compression="gzip" if values.size else None)
            file["node_names"] = np.array([part.encode() for part in parts])
            file["video_path"] = str(film)


_COORDS = ("x", "y", "likelihood")
