"""A DeepLabCut project becomes COCO's form, in all forms of its tables; what cannot be used is one clear error."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from openpose.errors import InputError
from tests.datasets.projects import converted, deeplabcut, keypoints, picture

ONE = """scorer,Ann,Ann,Ann,Ann
bodyparts,nose,nose,tail,tail
coords,x,y,x,y
labeled-data/a/img1.png,10,20,30,40
labeled-data/a/img2.png,11,21,,
labeled-data/a/img3.png,,,,
"""
#: Two animals, an object of its own, and the rows' names in three cells, as newer versions write them.
TWO = """scorer,,,Ann,Ann,Ann,Ann,Ann,Ann,Ann,Ann,Ann,Ann
individuals,,,m1,m1,m1,m1,m2,m2,m2,m2,single,single
bodyparts,,,nose,nose,tail,tail,nose,nose,tail,tail,door,door
coords,,,x,y,x,y,x,y,x,y,x,y
labeled-data,b,img1.png,1,2,3,4,5,6,7,8,9,9
labeled-data,b,img2.png,1,2,3,4,,,,,,
"""
MULTI = {"multianimalproject": True, "bodyparts": "MULTI!", "multianimalbodyparts": ["nose", "tail"]}


def test_one_animal(tmp_path: Path) -> None:
    folder = deeplabcut(tmp_path / "project", {"a": ONE}, skeleton=[["nose", "tail"], ["objectA", "bodypart3"]])
    picture(folder / "labeled-data/a/img9.png")
    made, documents = converted(folder, tmp_path / "root")
    assert keypoints(documents["train"]) == {
        "a/img1.png": [{"nose": (10, 20, 2), "tail": (30, 40, 2)}],
        "a/img2.png": [{"nose": (11, 21, 2)}],
    }
    assert made.pictures == {"train": folder / "labeled-data"}
    (category,) = documents["train"]["categories"]
    assert (category["keypoints"], category["skeleton"]) == (["nose", "tail"], [[1, 2]])
    animal, image = documents["train"]["annotations"][0], documents["train"]["images"][0]
    assert (image["width"], image["height"], image["film"]) == (64, 48, "a")
    # a tenth of the longer side, 20, and 5 pixels more than the keypoints, inside the picture
    assert (animal["bbox"], animal["area"]) == ([3, 13, 34, 34], 34 * 34)
    said = " ".join(made.said)
    assert "2 pictures of train, 2 animals, 3 labelled keypoints" in said
    assert "left out: 1 pictures with a row without labels" in said
    assert "left out: 1 pictures without a row" in said


def test_several_animals(tmp_path: Path) -> None:
    folder = deeplabcut(tmp_path / "project", {"b": TWO}, uniquebodyparts=["door"], **MULTI)
    made, documents = converted(folder, tmp_path / "root")
    first = {"nose": (1, 2, 2), "tail": (3, 4, 2)}
    assert keypoints(documents["train"]) == {
        "b/img1.png": [first, {"nose": (5, 6, 2), "tail": (7, 8, 2)}],
        "b/img2.png": [first],
    }
    assert [animal["track_id"] for animal in documents["train"]["annotations"]] == [0, 1, 0]
    assert "`uniquebodyparts` (door) are not used" in " ".join(made.said)


def test_found_again_by_content_and_made_again_when_a_label_changes(tmp_path: Path) -> None:
    folder, root = deeplabcut(tmp_path / "project", {"a": ONE}), tmp_path / "root"
    first, _ = converted(folder, root)
    written = first.annotations["train"].stat().st_mtime_ns
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    again, _ = converted(moved, root)
    assert again.annotations == first.annotations
    assert again.annotations["train"].stat().st_mtime_ns == written
    assert again.pictures == {"train": moved / "labeled-data"}
    table = folder / "labeled-data/a/CollectedData_Ann.csv"
    table.write_text(table.read_text().replace("10,20", "10,22"))
    _, documents = converted(folder, root)
    assert keypoints(documents["train"])["a/img1.png"][0]["nose"] == (10, 22, 2)


def _columns() -> list[tuple[str, ...]]:
    return [("Ann", part, axis) for part in ("nose", "tail") for axis in ("x", "y")]


ROWS, VALUES = (
    ["labeled-data/a/img1.png", "labeled-data/a/img2.png"],
    np.array([[10, 20, 30, 40], [11, 21, np.nan, np.nan]]),
)


def table_format(place: Path) -> None:
    """What `DataFrame.to_hdf(…, format="table")` writes."""
    with h5py.File(place, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group.attrs["non_index_axes"] = np.bytes_(pickle.dumps([(1, _columns())], 0))
        kind = np.dtype([("index", "S40"), ("values_block_0", "f8", (4,))])
        rows = zip([row.encode() for row in ROWS], VALUES, strict=True)
        group["table"] = np.array(list(rows), kind)
        group["table"].attrs["index_kind"] = np.bytes_("string")
        group["table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(_columns(), 0))


def fixed_format(place: Path) -> None:
    """What `DataFrame.to_hdf(…)` writes: levels of names, and which of them each column has."""
    with h5py.File(place, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs.update({"pandas_type": np.bytes_("frame"), "nblocks": 1})
        for name in ("axis0", "block0_items"):
            group.attrs[f"{name}_nlevels"] = 3
            for level, names in enumerate((["Ann"], ["nose", "tail"], ["x", "y"])):
                group[f"{name}_level{level}"] = np.array(names, "S")
                group[f"{name}_label{level}"] = np.array([names.index(column[level]) for column in _columns()], np.int8)
        group["axis1"] = np.array(ROWS, "S")
        group["block0_values"] = VALUES


@pytest.mark.parametrize("write", [table_format, fixed_format])
def test_hdf5_where_there_is_no_csv(tmp_path: Path, write: Callable[[Path], None]) -> None:
    folder = deeplabcut(tmp_path / "project", {"a": ONE})
    _, expected = converted(folder, tmp_path / "root")
    place = folder / "labeled-data/a/CollectedData_Ann.csv"
    place.unlink()
    write(place.with_suffix(".h5"))
    _, documents = converted(folder, tmp_path / "root")
    assert documents == expected


def evil(place: Path) -> None:
    """A table whose names are a pickle that would run a command."""
    table_format(place)
    with h5py.File(place, "a") as file:
        file["df_with_missing"].attrs["non_index_axes"] = np.bytes_(b"cos\nsystem\n(S'touch pwned'\ntR.")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda table: table.write_text(ONE.replace("10,20", "10,2O")),
            r"csv: row labeled-data/a/img1\.png, column nose y: '2O'",
        ),
        (
            lambda table: table.write_text(ONE[: ONE.index("30,40")]),
            r"csv: the row labeled-data/a/img1\.png has 4 cells",
        ),
        (lambda table: table.write_text("a,b\n1,2\n"), r"csv: has no row `coords"),
        (
            lambda table: table.write_text(ONE.replace("tail", "tial")),
            r"csv: has labels of tial, but .* nose, tail; give",
        ),
        (lambda table: table.write_text(ONE + ONE.splitlines()[3]), r"csv: has two rows of img1\.png"),
        (lambda table: table.with_suffix(".h5").write_bytes(b"junk"), r"a/CollectedData_Ann\.h5: not HDF5 of pandas"),
        (lambda table: evil(table.with_suffix(".h5")), r"it has an object of os\.system"),
        (
            lambda table: (table.parents[2] / "config.yaml").write_text("bodyparts: [nose, tail]\nuniquebodyparts: 5"),
            r"config\.yaml: `uniquebodyparts` must list names",
        ),
        (
            lambda table: [each.unlink() for each in table.parent.glob("*.png")],
            r"none of its pictures .*\(3 labelled pictures that",
        ),
        (lambda table: (table.parent / "img1.png").write_bytes(b"junk"), r"img1\.png: not a picture"),
        (
            lambda table: (table.parents[2] / "config.yaml").write_text("bodyparts: 3"),
            r"config\.yaml: `bodyparts` must list",
        ),
        (
            lambda table: (table.parents[2] / "config.yaml").write_text("bodyparts: [a, a]"),
            r"`bodyparts` names a more than once",
        ),
        (lambda table: (table.parents[2] / "config.yaml").write_text("a: [b"), r"config\.yaml: not YAML"),
    ],
)
def test_what_cannot_be_used_is_one_message(tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
    folder = deeplabcut(tmp_path / "project", {"a": ONE})
    table = folder / "labeled-data/a/CollectedData_Ann.csv"
    spoil(table)
    if table.with_suffix(".h5").is_file():
        table.unlink()
    with pytest.raises(InputError, match=message):
        converted(folder, tmp_path / "root")
    assert not list((tmp_path / "root").rglob("*.json"))
    assert not list(Path().glob("pwned"))


def test_the_real_project(shared: Path, tmp_path: Path) -> None:
    source, pictures = shared / "animals/mouse-deeplabcut", shared / "animals/mouse"
    if not source.is_dir():
        pytest.skip(f"needs the developers' data in {source}")
    folder = tmp_path / "mouse"
    for name in (
        "config.yaml",
        "labeled-data/m4s1/CollectedData_Pranav.csv",
        "labeled-data/m4s1/CollectedData_Pranav.h5",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
    for picture_file in pictures.glob("*/*.png"):
        shutil.copyfile(picture_file, folder / "labeled-data/m4s1" / picture_file.name)
    _, by_csv = converted(folder, tmp_path / "root")
    assert (len(by_csv["train"]["images"]), len(by_csv["train"]["annotations"])) == (116, 116)
    (folder / "labeled-data/m4s1/CollectedData_Pranav.csv").unlink()
    _, by_hdf5 = converted(folder, tmp_path / "root")
    assert by_hdf5 == by_csv
