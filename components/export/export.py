"""The last step: the model in the formats that programs load, each compared with what was trained, and its card."""

from pathlib import Path
from typing import Any

import numpy as np

from components import status
from components.export import compare, model_card
from components.export.compare import Comparison, Figures
from openpose import progress, skeleton, storage
from openpose.errors import InputError
from openpose.model_files import formats as model_formats
from openpose.model_files import keras_file, saved_model
from openpose.model_files.formats import Format
from openpose.model_files.inference import Source
from openpose.records import read
from openpose.skeleton import Skeleton
from openpose.training.manifest import RunManifest

CALIBRATION_IMAGES = 32


def export(
    root: str,
    run: str,
    evaluation: str,
    valid_records: str,
    pixels: str = "bgr",
    formats: str = "all",
    images: int = 50,
    train_records: str = "",
    revision: str = "",
) -> dict[str, Any]:
    """Writes the model in the formats that programs load, and checks that each still says the same.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        run: Manifest of the training run.
        evaluation: Manifest of its evaluation.
        valid_records: Manifest of the validation split's records.
        pixels: Order of the channels that the files take: bgr as tf-pose-estimation's clients feed, or rgb.
        formats: What is written besides graph.pb: all, or some of saved_model, onnx, tflite, tflite_float16 and
            tflite_int8 with commas.
        images: On so many pictures of the validation split the formats are compared with the Keras model.
        train_records: Manifest of the training split's records, whose pictures say the ranges of integers; those of
            the run under the root by default.
        revision: Revision of the code; another one exports anew.

    Returns:
        The model's manifest: where the files and their description are, and the SHA-256 of each.

    Raises:
        InputError: a manifest cannot be used, or a format's output is not the model's.
    """
    if images < 1:
        raise InputError(f"images is {images}; formats are compared on at least 1")
    model_formats.check_pixels(pixels)
    chosen = model_formats.chosen(formats)
    folder = storage.open_root(root)
    with status.step(folder, "export") as step:
        trained = storage.open_manifest(run, RunManifest)
        judged = storage.open_manifest(evaluation, "evaluation")
        split = storage.open_manifest(valid_records, "records")
        inputs = {
            "run": trained.fingerprint,
            "evaluation": judged["fingerprint"],
            "pixels": pixels,
            "formats": list(chosen),
            "images": images,
            "revision": revision,
        }
        work = storage.StepOutput(folder, "model", inputs, "models/")
        manifest = step.cached(work)
        if manifest is None:
            calibration = _training_split(folder, trained, train_records) if "tflite_int8" in chosen else None
            manifest = _export(work, trained, judged, split, calibration, chosen)
        return manifest


def _training_split(root: storage.StoragePath, trained: RunManifest, train_records: str) -> dict[str, Any]:
    """The manifest of the training split's records."""
    fingerprint = trained.inputs.records[0]
    if train_records:
        return storage.open_manifest(train_records, "records")
    place = root / "records" / f"train-{fingerprint[:12]}" / "manifest.json"
    if storage.size(place) is None:
        raise InputError(
            f"{place}: the training's records are not there, whose pictures say the ranges of integers; give "
            "train_records, or leave tflite_int8 out of `formats`"
        )
    return storage.open_manifest(place, "records")


def _export(
    work: storage.StepOutput,
    trained: RunManifest,
    judged: dict[str, Any],
    split: dict[str, Any],
    calibration: dict[str, Any] | None,
    chosen: dict[str, Format],
) -> dict[str, Any]:
    parameters, person = trained.inputs.parameters, skeleton.get(split["skeleton"])
    size, pixels = parameters.size, work.inputs["pixels"]
    shown = compare.pictures(split, person, work.inputs["images"])
    with storage.atomic_folder(work.folder) as temporary:
        comparison = Comparison(storage.path(trained.model), shown, person, size)
        with storage.local_copy(storage.path(trained.model)) as file:
            model = keras_file.read(file, storage.path(trained.model))
        pictures = _calibration(calibration, person, size, comparison.stride) if calibration else []
        source = Source(model, pixels, person.name, comparison.stride, size, pictures)
        measured = _write(source, chosen, comparison, temporary)
        card = model_card.describe(trained, judged, split, measured, person, pixels, comparison.stride, len(shown))
        storage.write_json(temporary / "model_card.json", card)
        storage.write_text(temporary / "model_card.md", model_card.markdown(card))
        sums = {name: digest for figures in measured.values() for name, digest in figures.sha256.items()}
        sums |= {name: storage.sha256(temporary / name) for name in ("model_card.json", "model_card.md")}
    print(f"model in {work.folder}; its card is model_card.md", flush=True)
    return work.finish(
        graph=str(work.folder / "graph.pb"),
        files={name: str(work.folder / format.file) for name, format in chosen.items()},
        description=str(work.folder / "model_card.json"),
        card=str(work.folder / "model_card.md"),
        sha256=sums,
        pixels=pixels,
    )


def _write(source: Source, chosen: dict[str, Format], comparison: Comparison, folder: Path) -> dict[str, Figures]:
    """Writes each format to the folder and compares it; the figures by name, Keras's first."""
    measured = {"keras": comparison.keras()}
    with progress.bar(len(chosen), "export", "format") as bar:
        for name, format in chosen.items():
            format.write(source, folder / format.file)
            for asked in (name, compare.JPEG) if name == "saved_model" else (name,):
                measured[asked] = comparison.format(asked, folder)
            bar.update(1)
    for figures in measured.values():
        print(figures.line(), flush=True)
    return measured


def _calibration(split: dict[str, Any], person: Skeleton, height: int, stride: int) -> list[np.ndarray]:
    """Pictures of the split's records as a network sees them, RGB float32 [1, H, W, 3]."""
    examples = read.examples(split, person).take(CALIBRATION_IMAGES).as_numpy_iterator()
    encoded = (example["encoded"] for example in examples)
    return [saved_model.prepare(picture, "rgb", stride, height)[0].numpy()[None] for picture in encoded]


def rejection(reason: str, judged: dict[str, Any]) -> str:
    """Why a model is not exported, as Markdown."""
    figures = "".join(
        f"| {name} | {'undefined' if value is None else f'{value:.3f}'} |\n"
        for name, value in judged["figures"].items()
    )
    return (
        f"# The model is not exported\n\n{reason}\n\n"
        f"| figure | value |\n|---|---:|\n{figures}\n"
        f"Pictures and curves: `{judged['report']}`. Train longer or on more data, or change `min_ap`, "
        "`max_valid_loss` and `tolerance`.\n"
    )
