"""Writes a trained network in the chosen formats, with its card."""

import gc
from pathlib import Path

import numpy as np

from components.export import compare, model_card
from components.export.compare import Comparison, Figures
from components.export.model_card import Inputs
from openpose import progress, storage
from openpose.model_files import keras_file, people_graph, preparation, saved_model
from openpose.model_files.formats import Format
from openpose.model_files.inference import Source
from openpose.model_files.manifest import ModelManifest
from openpose.records import read
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton

CALIBRATION_IMAGES = 32


def write(work: storage.StepOutput[ModelManifest], inputs: Inputs, chosen: dict[str, Format]) -> ModelManifest:
    """Writes all files or none; returns the manifest."""
    skeleton, height = inputs.split.skeleton, inputs.run.inputs.parameters.filled().predict_height
    pixels, trained = work.inputs.pixels, storage.path(inputs.run.model)
    pictures = compare.pictures(inputs.split, skeleton, work.inputs.images)
    with storage.atomic_folder(work.folder) as temporary:
        comparison = Comparison(trained, pictures, skeleton, height)
        with storage.local_copy(trained) as file:
            model = keras_file.read(file, trained)
        calibration = _calibration(inputs.calibration, skeleton, height, comparison.stride)
        most = work.inputs.max_people, work.inputs.max_peaks
        source = Source(model, pixels, skeleton.text(), comparison.stride, height, calibration, *most)
        measured = _write_formats(source, chosen, comparison, temporary)
        names = ["model_card.json", "model_card.md"]
        if not skeleton.is_known:  # clients of tf-pose read only the graph, but whoever has no TensorFlow finds it here
            storage.write_json(temporary / "graph.json", source.facts.document())
            names.append("graph.json")
        limits = people_graph.limits(source)
        card = model_card.describe(inputs, measured, skeleton, pixels, comparison.stride, len(pictures), limits)
        storage.write_json(temporary / "model_card.json", card)
        storage.write_text(temporary / "model_card.md", model_card.markdown(card))
        sums = {name: digest for figures in measured.values() for name, digest in figures.sha256.items()}
        sums |= {name: storage.sha256(temporary / name) for name in names}
        manifest = work.finish(
            temporary,
            graph=str(work.folder / "graph.pb"),
            files={name: str(work.folder / format.file) for name, format in chosen.items()}
            | {f"{name}_people": str(work.folder / format.people) for name, format in chosen.items() if format.people},
            description=str(work.folder / "model_card.json"),
            card=str(work.folder / "model_card.md"),
            sha256=sums,
            pixels=pixels,
        )
    print(f"model in {work.folder}; its card is model_card.md", flush=True)
    return manifest


def _write_formats(
    source: Source, chosen: dict[str, Format], comparison: Comparison, folder: Path
) -> dict[str, Figures]:
    """Writes each format to the folder and compares it; returns the figures by name, Keras's first."""
    measured = {"keras": comparison.keras()}
    with progress.bar(len(chosen), "export", "format") as bar:
        for name, format in chosen.items():
            format.write(source, folder / format.file)
            for signature in (name, compare.JPEG) if name == "saved_model" else (name,):
                measured[signature] = comparison.format(signature, folder)
            if format.people:
                format.write_people(source, folder)
                measured[f"{name}_people"] = comparison.people(name, folder, source.pixels)
            gc.collect()  # graphs refer to themselves, and Python does not know how large they are
            bar.update(1)
    for figures in measured.values():
        print(figures.line(), flush=True)
    return measured


def _calibration(split: RecordsManifest | None, skeleton: Skeleton, height: int, stride: int) -> list[np.ndarray]:
    """Pictures of the split's records as the network sees them, RGB float32 [1, H, W, 3]."""
    if split is None:
        return []
    examples = read.examples(split, skeleton).take(CALIBRATION_IMAGES).as_numpy_iterator()
    encoded = (example["encoded"] for example in examples)
    pictures = (saved_model.decoded(content, "rgb")[None] for content in encoded)
    return [preparation.prepared(picture, stride, height)[0].numpy() for picture in pictures]
