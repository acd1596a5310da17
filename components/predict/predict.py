"""Finds people in any number of pictures: plans chunks, looks at them in parallel, and writes one result.

Everything lies in one folder below the storage root: `plan.json` and `names.json`, for each chunk of the pictures
`chunks/<number>.json`, and at the end `coco_results.json`, `coco.json` and the manifest. A worker that starts again
finds the chunks that are done. Memory does not grow with the number of pictures, apart from their names.
"""

import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from components.evaluate.parameters import EvaluateParameters
from components.predict.manifest import Plan, PredictionInputs, PredictionManifest
from components.predict.parameters import PredictParameters
from components.predict.pictures import Pictures
from openpose import draw, image_file, model_files, progress, storage
from openpose.errors import InputError
from openpose.evaluation.registry import Registry
from openpose.predict import in_batches, results
from openpose.predict.files import coco_ids
from openpose.predict.predictor import Passes, Predictor
from openpose.skeleton import Skeleton

CHUNK = 200  # pictures; those of a chunk that was interrupted are looked at again
SHOWN = 20  # messages about pictures that could not be used
PLAN, NAMES, CHUNKS, DRAWN = "plan.json", "names.json", "chunks", "drawn"
RESULTS, DATA = "coco_results.json", "coco.json"


def predict(
    root: str,
    pictures: str,
    model: str = "",
    registry: str = EvaluateParameters.registry,
    parameters: PredictParameters = PredictParameters(),
    revision: str = "",
) -> PredictionManifest:
    """Finds people in all pictures of a folder, a zip archive or a bucket, on this machine.

    Args:
        root: Storage root: a folder, gs://bucket/prefix or s3://bucket/prefix.
        pictures: Pictures to look at: a folder with all below it, a zip archive, gs://bucket/prefix or
            s3://bucket/prefix.
        model: Model: a file, or a SavedModel's folder, also in a bucket; empty for the registry's newest accepted one.
        registry: Registry whose newest accepted model is taken.
        parameters: how the network runs, and what is written.
        revision: Revision of the code; a new revision looks at all pictures again.

    Returns:
        The prediction's manifest.

    Raises:
        InputError: there is no picture or no model, or no picture can be used.
    """
    folder = plan(root, pictures, model, registry, parameters, revision)
    predict_share(folder)
    return collect(folder)


def plan(root: str, pictures: str, model: str, registry: str, parameters: PredictParameters, revision: str = "") -> str:
    """Lists the pictures and divides them into chunks; returns the prediction's folder. The arguments are `predict`'s.

    Raises:
        InputError: there is no picture or no model.
    """
    place = storage.open_root(root)
    states = Pictures(pictures).states()
    file = model or f"{Registry(place, registry).newest()}/graph.pb"
    network = model_files.load(file)
    inputs = PredictionInputs(
        pictures=storage.fingerprint([pictures, states]),
        model=model_files.checksum(storage.path(file)),
        height=parameters.height or network.height,
        flip=parameters.flip,
        draw=parameters.draw,
        revision=revision,
    )
    folder = _output(place, inputs).folder
    chunks = -(-len(states) // CHUNK)
    made = Plan(pictures=pictures, model=file, skeleton=network.skeleton.text(), chunks=chunks, inputs=inputs)
    storage.write_json(folder / NAMES, list(states))
    storage.write_json(folder / PLAN, storage.to_json(made))
    print(f"{len(states)} pictures, {file}: results go to {folder}", flush=True)
    return str(folder)


def shares(workers: int) -> list[dict[str, int]]:
    """The arguments of `predict_share` for each of several workers."""
    return [{"share": number, "of": workers} for number in range(workers)]


def predict_share(folder: str, share: int = 0, of: int = 1) -> None:
    """Looks at a worker's chunks of the pictures, without those that are done.

    Args:
        folder: of the prediction, from `plan`.
        share: number of the worker, from 0.
        of: number of workers.

    Raises:
        InputError: the model cannot be used, or its maps hold NaN or infinity.
    """
    place, made = _planned(folder)
    done = storage.sizes(place / CHUNKS)
    todo = [number for number in range(share, made.chunks, of) if _chunk_name(number) not in done]
    if not todo:
        print(f"found all chunks of this share in {folder}: nothing to do", flush=True)
        return
    names = storage.read_json(place / NAMES)
    network = model_files.load(made.model)
    predictor = Predictor(network, made.inputs.height, passes=Passes(flip=made.inputs.flip))
    look = _Look(predictor, Pictures(made.pictures), place / DRAWN if made.inputs.draw else None)
    parts = {number: names[number * CHUNK : (number + 1) * CHUNK] for number in todo}
    with progress.bar(sum(map(len, parts.values())), "predict", "picture") as bar:
        for number, part in parts.items():
            storage.write_bytes(place / CHUNKS / _chunk_name(number), json.dumps(look.at(part)).encode())
            bar.update(len(part))


class _Look:
    """Finds people in chunks of pictures.

    Args:
        predictor: the network and the decoder.
        pictures: to read from.
        drawn: folder for drawn pictures; None for none.
    """

    def __init__(self, predictor: Predictor, pictures: Pictures, drawn: storage.StoragePath | None) -> None:
        self._predictor, self._pictures, self._drawn = predictor, pictures, drawn
        self._skeleton = predictor.model.skeleton

    def at(self, names: Sequence[str]) -> dict[str, Any]:
        """The chunk's document: size and people of each picture, and why others could not be used."""
        failed: list[str] = []
        entries = (in_batches.Picture(name, functools.partial(self._pictures.read, name)) for name in names)
        with ThreadPoolExecutor(in_batches.THREADS) as threads:
            finder = in_batches.Finder(self._predictor, in_batches.BATCH, threads, failed.append)
            found = sorted(finder.find(entries, self._finish), key=lambda row: row["name"])
        return {"pictures": found, "failed": sorted(failed)}

    def _finish(self, found: in_batches.Found[str]) -> dict[str, Any]:
        height, width = found.image.shape[:2]
        if self._drawn is not None:
            drawn = image_file.jpeg(draw.skeletons(found.image, found.people, self._skeleton), 90)
            storage.write_bytes(self._drawn / f"{os.path.splitext(found.key)[0]}.jpg", drawn)
        people = results.coco_people(found.people, self._skeleton)
        return {"name": found.key, "height": height, "width": width, "people": people}


def collect(folder: str) -> PredictionManifest:
    """Writes one result from all chunks.

    Args:
        folder: of the prediction, from `plan`.

    Returns:
        The prediction's manifest.

    Raises:
        InputError: a chunk is missing, or no picture could be used.
    """
    place, made = _planned(folder)
    output = _output(place.parent.parent, made.inputs)
    if (manifest := output.cached()) is not None:
        print(f"found {output.kind} in {folder}: nothing to do", flush=True)
        return manifest
    done = storage.sizes(place / CHUNKS)
    missing = [number for number in range(made.chunks) if _chunk_name(number) not in done]
    if missing:
        raise InputError(f"{folder}: {len(missing)} of {made.chunks} chunks are missing; run the shares again")
    names = storage.read_json(place / NAMES)
    ids, skeleton = dict(zip(names, coco_ids(names), strict=True)), Skeleton.from_text(made.skeleton)
    with (
        storage.atomic_file(place / RESULTS) as one,
        storage.atomic_file(place / DATA) as other,
        one.open("w") as results_file,
        other.open("w") as data_file,
    ):
        people = _write_coco(place, made.chunks, ids, skeleton, results_file, data_file)
    failed = [message for chunk in _chunks(place, made.chunks) for message in chunk["failed"]]
    for message in failed[:SHOWN]:
        print(f"left out: {message}")
    if len(failed) == len(names):
        raise InputError(f"{made.pictures}: none of the {len(names)} pictures can be used; the first: {failed[0]}")
    what = "people" if skeleton.of_people else skeleton.category
    counts = {"pictures": len(names) - len(failed), what: people, "failed": len(failed)}
    print(f"{what}: {people} found in {counts['pictures']} pictures, {len(failed)} left out; see {folder}")
    return output.finish(counts=counts, results=str(place / RESULTS), data=str(place / DATA), failed=failed[:SHOWN])


def _write_coco(
    place: storage.StoragePath,
    chunks: int,
    ids: Mapping[str, int],
    skeleton: Skeleton,
    results_file: IO[str],
    data_file: IO[str],
) -> int:
    """Writes the people as COCO results and as a COCO data set, chunk by chunk; returns their number."""

    def coco() -> Iterator[results.CocoPeople]:
        for chunk in _chunks(place, chunks):
            people = results.CocoPeople(skeleton)
            for row in chunk["pictures"]:
                people.add(ids[row["name"]], row["name"], (row["height"], row["width"]), row["people"])
            yield people

    images = (image for part in coco() for image in part.document()["images"])
    annotations = (one for part in coco() for one in part.document()["annotations"])
    data_file.write('{"images":')
    _write_list(data_file, images)
    data_file.write(',"annotations":')
    count = _write_list(data_file, (one | {"id": number} for number, one in enumerate(annotations, 1)))
    data_file.write(f',"categories":{json.dumps([skeleton.coco_category()])}}}\n')
    _write_list(results_file, (one for part in coco() for one in part.results()))
    results_file.write("\n")
    return count


def _write_list(file: IO[str], items: Iterable[Any]) -> int:
    """Writes items as a JSON list, one after the other; returns their number."""
    count = 0
    file.write("[")
    for item in items:
        file.write(("," if count else "") + json.dumps(item, separators=(",", ":")))
        count += 1
    file.write("]")
    return count


def _output(root: storage.StoragePath, inputs: PredictionInputs) -> storage.StepOutput[PredictionManifest]:
    return storage.StepOutput(root, PredictionManifest, inputs, "predictions/")


def _planned(folder: str) -> tuple[storage.StoragePath, Plan]:
    place = storage.path(folder)
    return place, storage.read_as(place / PLAN, Plan)


def _chunk_name(number: int) -> str:
    return f"{number:06d}.json"


def _chunks(place: storage.StoragePath, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield storage.read_json(place / CHUNKS / _chunk_name(number))
