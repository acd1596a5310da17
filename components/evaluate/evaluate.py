"""The fourth step: how good is the model, shown and judged."""

import math
from typing import Any

import numpy as np

from components import status
from openpose import loss, model_io, progress, records, report, score, skeleton, storage
from openpose.decode import People
from openpose.predict import Predictor
from openpose.report import Example
from openpose.skeleton import Skeleton

EXAMPLES = 12


def evaluate(
    root: str,
    run: str,
    valid_records: str,
    height: int = 0,
    min_ap: float = 0.0,
    max_valid_loss: float = 0.0,
    revision: str = "",
) -> dict[str, Any]:
    """Measures a trained model on the whole validation split, shows it, and judges it.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        run: Manifest of the training run.
        valid_records: Manifest of the validation split's records.
        height: Pictures are resized to this height for COCO AP; 0 for the height that was trained.
        min_ap: The verdict needs at least this COCO AP.
        max_valid_loss: The verdict needs at most this validation loss; 0 for any.
        revision: Revision of the code; another one evaluates anew.

    Returns:
        The evaluation's manifest: figures, verdict (accepted or rejected), reason, report, detections.

    Raises:
        InputError: a manifest or the model cannot be used.
    """
    folder = storage.root_folder(root)
    with status.step(folder, "evaluate") as step:
        trained = storage.open_manifest(run, "run")
        split = storage.open_manifest(valid_records, "records")
        height = height or trained["inputs"]["parameters"]["size"]
        inputs = {
            "run": trained["fingerprint"],
            "records": split["fingerprint"],
            "height": height,
            "min_ap": min_ap,
            "max_valid_loss": max_valid_loss,
            "revision": revision,
        }
        work = storage.Work(folder, "evaluation", inputs, "evaluations/")
        manifest = step.finished(work)
        return manifest or _evaluate(work, trained, split, height, min_ap, max_valid_loss)


def _evaluate(
    work: storage.Work,
    trained: dict[str, Any],
    split: dict[str, Any],
    height: int,
    min_ap: float,
    max_loss: float,
) -> dict[str, Any]:
    person = skeleton.get(split["skeleton"])
    predictor = Predictor(model_io.load(trained["model"], person), height)
    truth = records.ground_truth(split, person)
    detections, examples = _detect(predictor, split, person)
    figures: dict[str, float | None] = {**score.average_precision(truth, detections)}
    figures |= {f"valid_{name}": trained["losses"][f"valid_{name}"] for name in loss.NAMES}
    verdict, reason = judge(figures["AP"], trained["losses"]["valid_loss"], min_ap, max_loss)
    facts = {name: str(value) for name, value in trained["inputs"]["parameters"].items()}
    facts |= {"evaluated at height": str(height), "images": str(split["counts"]["images"])}
    page = report.evaluation_page(
        f"Evaluation of {facts['model']}",
        verdict,
        reason,
        facts,
        figures,
        trained["history"],
        examples,
        person,
    )
    storage.write_text(work.folder / "report.html", page)
    storage.write_json(work.folder / "detections.json", detections)
    print(f"verdict: {verdict}: {reason}", flush=True)
    return work.finish(
        figures=figures,
        verdict=verdict,
        reason=reason,
        report=str(work.folder / "report.html"),
        detections=str(work.folder / "detections.json"),
    )


def _detect(
    predictor: Predictor, split: dict[str, Any], person: Skeleton
) -> tuple[list[dict[str, Any]], list[Example]]:
    """COCO results of all pictures of the split, and examples spread over it for the report."""
    detections, examples = [], []
    count = split["counts"]["images"]
    shown = set(np.linspace(0, count - 1, min(EXAMPLES, count)).astype(int).tolist())
    with progress.bar(count, "evaluate", "image") as bar:
        for number, record in enumerate(records.examples(split, person).as_numpy_iterator()):
            image = records.decode_picture(record)
            maps = predictor.maps(image)
            found = predictor.people_in(maps)
            detections += score.results(int(record["id"]), found, person)
            if number in shown:
                truth = _true_people(record, person)
                note = f"{len(truth)} labelled, {len(found)} found"
                examples.append(Example(record["filename"].decode(), image, truth, found, maps, note))
            bar.update(1)
    return detections, examples


def _true_people(record: dict[str, np.ndarray], person: Skeleton) -> People:
    keypoints, labelled = person.part_keypoints(record["keypoints"], record["visibility"])
    people = np.concatenate([keypoints, labelled[..., None].astype(np.float32)], -1)
    people = people[labelled.any(1) & ~record["crowd"]]
    return People(people, np.ones(len(people), np.float32))


def judge(ap: float | None, valid_loss: float, min_ap: float, max_valid_loss: float) -> tuple[str, str]:
    """The verdict on a model, `accepted` or `rejected`, and why in one sentence."""
    if not math.isfinite(valid_loss):
        return "rejected", f"The validation loss is {valid_loss}."
    if ap is None and min_ap > 0:
        return (
            "rejected",
            f"COCO AP is undefined without labelled people, but at least {min_ap:.3f} is asked for.",
        )
    if ap is not None and ap < min_ap:
        return "rejected", f"COCO AP {ap:.3f} is below the {min_ap:.3f} asked for."
    if max_valid_loss and valid_loss > max_valid_loss:
        return "rejected", f"The validation loss {valid_loss:.2f} is above the {max_valid_loss:.2f} allowed."
    shown = "undefined (no labelled people)" if ap is None else f"{ap:.3f}"
    return "accepted", f"COCO AP is {shown}, the validation loss {valid_loss:.2f}; both pass."
