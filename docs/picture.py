"""Makes the README's picture from a finished `make run`: `.venv/bin/python -m docs.picture out`."""

import sys
from pathlib import Path

import numpy as np

from openpose import draw, image_file, model_files, skeleton, storage
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.predict.predictor import Predictor

WIDTH = 4  # pictures side by side


def main(out: Path) -> None:
    """Draws validation pictures with several people, and what the exported graph finds in them."""
    summary = storage.read_json(out / "summary.json")
    person = skeleton.get("openpose18")
    size = storage.read_json(Path(summary["graph"]).with_name("model_card.json"))["parameters"]["size"]
    predictor = Predictor(model_files.load(summary["graph"], person), size)
    crowded = (dataset.draw(Sample(), "val2017", index) for index in range(100))
    chosen = [image for image, people in crowded if 2 <= sum(p["num_keypoints"] > 12 for p in people) <= 4][:WIDTH]
    columns = []
    for image in chosen:
        maps = predictor.maps(image)
        found = draw.skeletons(image, predictor.people_in(maps), person)
        columns.append(
            [found, draw.heatmap(image, maps.heatmap, maps.cell), draw.vectmap(image, maps.vectmap, maps.cell)]
        )
    rows = [draw.side_by_side(*row) for row in zip(*columns, strict=True)]
    gap = np.full((8, rows[0].shape[1], 3), 255, np.uint8)
    picture = np.concatenate([rows[0], gap, rows[1], gap, rows[2]])
    target = Path(__file__).parent / "images" / "found.jpg"
    image_file.write(target, picture)
    print(f"wrote {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
