"""Small data sets in the forms of other tools, with pictures of noise."""

import json
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import yaml
from PIL import Image

from openpose.datasets import convert

SIZE = (64, 48)  # width, height of every picture
ONE_CATEGORY = {"id": 1, "name": "tip", "keypoints": ["tip"], "skeleton": []}


def picture(place: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(place)


def converted(place: Path, root: Path) -> tuple[convert.Converted, dict[str, dict[str, Any]]]:
    """What a data set becomes, and the JSON of each split."""
    project = convert.recognise(place)
    assert project is not None
    made = convert.convert(project, root)
    return made, {split: json.loads(file.read_text()) for split, file in made.annotations.items()}


def keypoints(document: dict[str, Any]) -> dict[str, list[dict[str, tuple[float, ...]]]]:
    """The labelled keypoints of the animals in each picture, by name."""
    names = {category["id"]: category["keypoints"] for category in document["categories"]}
    files = {image["id"]: image["file_name"] for image in document["images"]}
    found: dict[str, list[dict[str, tuple[float, ...]]]] = {name: [] for name in files.values()}
    for animal in document["annotations"]:
        triples = np.reshape(animal["keypoints"], (-1, 3)).tolist()
        named = zip(names[animal["category_id"]], map(tuple, triples), strict=True)
        found[files[animal["image_id"]]].append({name: triple for name, triple in named if triple[2]})
    return found


def deeplabcut(folder: Path, films: dict[str, str], **settings: Any) -> Path:
    """A project: `films` has the text of each film's CSV; pictures are those that its rows name."""
    config = {"Task": "test", "scorer": "Ann", "bodyparts": ["nose", "tail"], "skeleton": [], **settings}
    (folder / "labeled-data").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    for film, text in films.items():
        place = folder / "labeled-data" / film / "CollectedData_Ann.csv"
        place.parent.mkdir()
        place.write_text(text)
        for number, line in enumerate(text.splitlines()):
            for cell in line.split(",")[:3]:
                if cell.endswith(".png"):
                    picture(place.parent / cell.rpartition("/")[2], number)
    return folder


def deeplabcut_of_one(folder: Path, frames: int) -> Path:
    """A project with one film."""
    head = "scorer,Ann,Ann\nbodyparts,nose,nose\ncoords,x,y\n"
    rows = "".join(f"labeled-data/a/img{number}.png,{number},2\n" for number in range(frames))
    return deeplabcut(folder, {"a": head + rows}, bodyparts=["nose"])


_FRAME = [
    ("frame_id", "u8"),
    ("video", "u4"),
    ("frame_idx", "u8"),
    ("instance_id_start", "u8"),
    ("instance_id_end", "u8"),
]
_INSTANCE = [
    ("instance_id", "i8"),
    ("instance_type", "u1"),
    ("frame_id", "u8"),
    ("skeleton", "u4"),
    ("track", "i4"),
    ("from_predicted", "i8"),
    ("score", "f4"),
    ("point_id_start", "u8"),
    ("point_id_end", "u8"),
    ("tracking_score", "f4"),
]
_POINT = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
_TYPE = {"py/type": "sleap.skeleton.EdgeType"}


def film(place: Path, frames: int) -> None:
    """A film whose frame n is grey with the value 10 n."""
    writer = cv2.VideoWriter(str(place), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE)  # type: ignore[attr-defined]
    for number in range(frames):
        writer.write(np.full((SIZE[1], SIZE[0], 3), 10 * number, np.uint8))
    writer.release()


def sleap(
    place: Path,
    animals: list[tuple[int, int, bool, list[tuple[float, float]]]],
    videos: list[dict[str, Any]],
    format_id: float = 1.2,
) -> Path:
    """A SLEAP file of (film, frame, is it a prediction, x and y of `wingL`, `wingR`, `head`), in order of frames.

    Its skeleton lists the nodes in another order than the file, links the head with both wings and says that these are
    mirror images of each other.
    """
    links = [
        {"source": 2, "target": 0, "type": {"py/reduce": [_TYPE, {"py/tuple": [1]}]}},
        {"source": 2, "target": 1, "type": {"py/id": 1}},
        {"source": 0, "target": 1, "type": {"py/reduce": [_TYPE, {"py/tuple": [2]}]}},
        {"source": 1, "target": 0, "type": {"py/id": 2}},
    ]
    skeleton = {"graph": {"name": "Skeleton-1"}, "links": links, "nodes": [{"id": 0}, {"id": 1}, {"id": 2}]}
    nodes = [{"name": name} for name in ("wingL", "wingR", "head")]
    frames, instances, points = list[Any](), list[Any](), {True: list[Any](), False: list[Any]()}
    for number, (video, frame, predicted, found) in enumerate(animals):
        if not frames or frames[-1][1:3] != (video, frame):
            frames.append((len(frames), video, frame, number, number))
        frames[-1] = (*frames[-1][:4], number + 1)
        rows = points[predicted]
        instances.append((number, predicted, len(frames) - 1, 0, -1, -1, 1, len(rows), len(rows) + len(found), 0))
        rows += [(x, y, True, True, *([0.9] if predicted else [])) for x, y in found]
    with h5py.File(place, "a") as file:
        file.create_group("metadata").attrs["json"] = json.dumps({"skeletons": [skeleton], "nodes": nodes})
        file["metadata"].attrs["format_id"] = format_id
        file["videos_json"] = [json.dumps(video).encode() for video in videos]
        file["frames"] = np.array(frames, _FRAME)
        file["instances"] = np.array(instances, _INSTANCE)
        file["points"] = np.array(points[False], _POINT)
        file["pred_points"] = np.array(points[True], [*_POINT, ("score", "f8")])
    return place


def ultralytics(folder: Path, labels: dict[str, str | None], **settings: Any) -> Path:
    """A data set of pictures, such as `train/a`, with the text of each one's labels; None for no file."""
    data = {"path": ".", "train": "images/train", "names": {0: "mouse"}, "kpt_shape": [2, 3], **settings}
    for number, (name, text) in enumerate(labels.items()):
        picture(folder / f"images/{name}.png", number)
        if text is not None:
            place = folder / f"labels/{name}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, errors="surrogateescape")
    folder.mkdir(exist_ok=True)
    (folder / "data.yaml").write_text(yaml.safe_dump(data))
    return folder
