"""Makes the README's pictures from a finished `make run`: `.venv/bin/python -m docs.picture out`. Needs Chromium."""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from openpose import draw, image_file, model_files, skeleton, storage
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.predict.predictor import Predictor

IMAGES = Path(__file__).parent / "images"
WIDTH = 4  # pictures side by side
REPORT = (1000, 1120)  # width and height of the part of the report, in pixels


def main(out: Path) -> None:
    """Writes both pictures."""
    image_file.write(IMAGES / "found.jpg", found(storage.read_json(out / "summary.json")["graph"]))
    few_colours = Image.fromarray(report(out / "report.html")).quantize(256, Image.Quantize.FASTOCTREE)
    few_colours.save(IMAGES / "report.png", optimize=True)
    print(f"wrote {IMAGES / 'found.jpg'} and {IMAGES / 'report.png'}")


def found(graph: str) -> np.ndarray:
    """Validation pictures with several people, and what the exported graph finds in them."""
    person = skeleton.get("openpose18")
    size = storage.read_json(Path(graph).with_name("model_card.json"))["parameters"]["size"]
    predictor = Predictor(model_files.load(graph, person), size)
    crowded = (dataset.draw(Sample(), "val2017", index) for index in range(100))
    chosen = [image for image, people in crowded if 2 <= sum(p["num_keypoints"] > 12 for p in people) <= 4][:WIDTH]
    columns = []
    for image in chosen:
        maps = predictor.maps(image)
        people = draw.skeletons(image, predictor.people_in(maps), person)
        columns.append(
            [people, draw.heatmap(image, maps.heatmap, maps.cell), draw.vectmap(image, maps.vectmap, maps.cell)]
        )
    rows = [draw.side_by_side(*row) for row in zip(*columns, strict=True)]
    gap = np.full((8, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([rows[0], gap, rows[1], gap, rows[2]])


def report(page: Path) -> np.ndarray:
    """The top of the report, as a browser shows it."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "report.png"
        size = ",".join(map(str, REPORT))
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size}"]
        subprocess.run([*command, f"--screenshot={shot}", page.absolute().as_uri()], check=True, capture_output=True)
        return cv2.resize(image_file.read(shot), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
