"""The last step: the model as a frozen graph that the field's clients load."""

from typing import Any

import keras
import numpy as np

from components import status
from openpose import model_io, networks, records, skeleton, storage
from openpose.errors import InputError
from openpose.predict import Predictor

MAX_DIFFERENCE = 1e-4


def export(
    root: str, run: str, evaluation: str, valid_records: str, pixels: str = "bgr", revision: str = ""
) -> dict[str, Any]:
    """Writes the model as a frozen graph and checks that it still says the same.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        run: Manifest of the training run.
        evaluation: Manifest of its evaluation.
        valid_records: Manifest of the validation split's records; the check uses its first picture.
        pixels: Order of the channels that the graph takes: bgr as tf-pose-estimation's clients feed, or rgb.
        revision: Revision of the code; another one exports anew.

    Returns:
        The model's manifest: where the graph and its description are.

    Raises:
        InputError: a manifest cannot be used, or the graph's output is not the model's.
    """
    folder = storage.root_folder(root)
    with status.step(folder, "export") as step:
        trained = storage.open_manifest(run, "run")
        judged = storage.open_manifest(evaluation, "evaluation")
        split = storage.open_manifest(valid_records, "records")
        inputs = {
            "run": trained["fingerprint"],
            "evaluation": judged["fingerprint"],
            "pixels": pixels,
            "revision": revision,
        }
        work = storage.Work(folder, "model", inputs, "models/")
        manifest = step.finished(work)
        return manifest or _export(work, trained, judged, split, pixels)


def _export(
    work: storage.Work, trained: dict[str, Any], judged: dict[str, Any], split: dict[str, Any], pixels: str
) -> dict[str, Any]:
    parameters = trained["inputs"]["parameters"]
    with storage.atomic_folder(work.folder) as temporary:
        with storage.local_copy(storage.path(trained["model"])) as file:
            model = keras.models.load_model(file, compile=False)
        model_io.freeze(model, temporary / "graph.pb", pixels)
        difference = _difference(str(temporary / "graph.pb"), trained["model"], split, parameters["size"])
        description = {
            "input": {
                "tensor": f"{model_io.GRAPH_INPUT}:0",
                "shape": "N, H, W, 3",
                "values": [0, 255],
                "pixels": pixels,
            },
            "output": {
                "tensor": f"{model_io.GRAPH_OUTPUT}:0",
                "shape": "N, H/8, W/8, 57",
                "channels": "heatmap (18 parts, background), then vectmap (x, y of 19 limbs)",
            },
            "stride": networks.get(parameters["model"]).stride,
            "trained_at": parameters["size"],
            "parameters": parameters,
            "figures": judged["figures"],
            "largest_difference_to_keras": difference,
            "sha256": storage.sha256(temporary / "graph.pb"),
        }
        storage.write_json(temporary / "graph.json", description)
    print(
        f"graph in {work.folder / 'graph.pb'} (largest difference to the Keras model: {difference:.1e})",
        flush=True,
    )
    return work.finish(
        graph=str(work.folder / "graph.pb"),
        description=str(work.folder / "graph.json"),
        sha256=description["sha256"],
        pixels=pixels,
    )


def _difference(graph: str, model: str, split: dict[str, Any], height: int) -> float:
    """Largest difference between the maps of both, relative to their largest value, on the split's first picture."""
    person = skeleton.get(split["skeleton"])
    record = next(iter(records.examples(split, person).take(1).as_numpy_iterator()))
    image = records.decode_picture(record)
    ours, theirs = (Predictor(model_io.load(path, person), height).maps(image) for path in (graph, model))
    pairs = ((ours.heatmap, theirs.heatmap), (ours.vectmap, theirs.vectmap))
    largest = max(float(np.abs(expected).max()) for _, expected in pairs)
    difference = max(float(np.abs(one - other).max()) for one, other in pairs) / max(largest, 1.0)
    if not difference <= MAX_DIFFERENCE:
        raise InputError(
            f"{graph}: its output differs from the Keras model's by {difference:.1e}, more than {MAX_DIFFERENCE:.0e}; "
            "the export is not written"
        )
    return difference


def rejection(reason: str, judged: dict[str, Any]) -> str:
    """Why a model is not exported, as Markdown."""
    figures = "".join(
        f"| {name} | {'undefined' if value is None else f'{value:.3f}'} |\n"
        for name, value in judged["figures"].items()
    )
    return (
        f"# The model is not exported\n\n{reason}\n\n"
        f"| figure | value |\n|---|---:|\n{figures}\n"
        f"Pictures and curves: `{judged['report']}`. Train longer or on more data, or change `min_ap` and "
        "`max_valid_loss`.\n"
    )
