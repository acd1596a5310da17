"""Tables of a film can be read as what DeepLabCut and SLEAP write."""

import csv
from pathlib import Path

import h5py
import numpy as np

from openpose.codec.decode import People
from openpose.predict.table import Table
from tests.skeleton.made_up import skeleton

FLY = skeleton(3)


def film() -> Table:
    """Three frames: fly 0, nobody, then flies 2 and 0; the last keypoint is never found."""
    table = Table(FLY)
    for ids in ([0], [], [2, 0]):
        keypoints = np.array([[[10 * one + 1, 2, 0.5], [3, 4.25, 1], [0, 0, 0]] for one in ids], np.float32)
        scores = np.array([one + 0.5 for one in ids], np.float32)
        table.add(People(keypoints.reshape(-1, 3, 3), scores, np.array(ids, np.int64)))
    return table


def test_csv_has_deeplabcuts_columns(tmp_path: Path) -> None:
    film().write("csv", tmp_path / "film.csv", Path("film.mp4"))
    with (tmp_path / "film.csv").open() as file:
        scorer, individuals, bodyparts, coords, *rows = csv.reader(file)
    assert scorer == ["scorer"] + 18 * ["openpose"]
    assert individuals[1:] == 9 * ["thing0"] + 9 * ["thing2"]
    assert bodyparts[1:10] == [part for part in FLY.source_parts for _ in range(3)]
    assert coords[1:4] == ["x", "y", "likelihood"]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert rows[0][1:10] == ["1.000", "2.000", "0.500", "3.000", "4.250", "1.000", "", "", ""]
    assert set(rows[1][1:]) == {""}
    assert rows[2][10:13] == ["21.000", "2.000", "0.500"]


def test_h5_is_sleaps_analysis_file(tmp_path: Path) -> None:
    film().write("h5", tmp_path / "film.h5", Path("film.mp4"))
    with h5py.File(tmp_path / "film.h5") as file:
        assert file["tracks"].shape == (2, 2, 3, 3)  # tracks, x and y, nodes, frames
        assert file["track_names"][:].tolist() == [b"thing0", b"thing2"]
        assert file["node_names"][:].tolist() == [part.encode() for part in FLY.source_parts]
        assert file["track_occupancy"][:].tolist() == [[1, 0], [0, 0], [1, 1]]
        np.testing.assert_allclose(file["tracks"][1, :, 0, 2], [21, 2])
        assert np.isnan(file["tracks"][0, :, :, 1]).all()
        assert np.isnan(file["tracks"][:, :, 2]).all()
        np.testing.assert_allclose(file["instance_scores"][0], [0.5, np.nan, 0.5])


def test_film_without_anybody(tmp_path: Path) -> None:
    table = Table(FLY)
    table.add(People(np.zeros((0, 3, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)))
    for kind in ("csv", "h5"):
        table.write(kind, tmp_path / f"film.{kind}", Path("film.mp4"))
    with h5py.File(tmp_path / "film.h5") as file:
        assert file["tracks"].shape == (0, 2, 3, 1)
