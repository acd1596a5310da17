"""Manifests as the steps leave them, with everything filled in that a test does not ask for."""

from typing import Any

from openpose import storage
from openpose.evaluation.manifest import EvaluationInputs, EvaluationManifest
from openpose.evaluation.registry import Champion, ChampionEvaluation, ChampionExport
from openpose.model_files.manifest import ModelInputs, ModelManifest
from openpose.records.manifest import RecordsInputs, RecordsManifest
from openpose.records.parameters import RecordParameters
from openpose.records.shards import FORMAT
from openpose.skeleton import OPENPOSE18


def records(folder: object = "", split: str = "val", **content: Any) -> RecordsManifest:
    """The manifest of a split's records.

    Args:
        folder: of the shards.
        split: name of the split.
        content: other fields.
    """
    inputs = RecordsInputs(
        data="x",
        split=split,
        skeleton=OPENPOSE18,
        targets=content.get("targets"),
        format=FORMAT,
        **RecordParameters().as_dict(),
    )
    fields: dict[str, Any] = {"skeleton": OPENPOSE18, "shards": [], "counts": {}, "bad_images": []}
    return RecordsManifest(fingerprint="f" * 64, folder=str(folder), inputs=inputs, split=split, **fields | content)


def evaluation(root: storage.StoragePath, ap: float | None = 0.5, **content: Any) -> EvaluationManifest:
    """An evaluation that accepted its model.

    Args:
        root: the storage root, which gets it.
        ap: COCO AP of the model.
        content: other fields of the manifest or of its inputs.
    """
    decides: dict[str, Any] = {
        **dict.fromkeys(("model", "run", "records", "data", "registry"), "x"),
        **{"height": 64, "champion": None, "tolerance": 0.01, "revision": "1"},
    }
    inputs = EvaluationInputs(**{name: content.pop(name, value) for name, value in decides.items()})
    says = {"figures": {"AP": ap}, "verdict": "accepted", "reason": f"AP is {ap}.", "report": "report.html"}
    return storage.StepOutput(root, EvaluationManifest, inputs, "evaluations/").finish(**says | content)


def model(root: storage.StoragePath, evaluation: str = "", name: str = "model") -> ModelManifest:
    """An export.

    Args:
        root: the storage root, which gets it.
        evaluation: fingerprint of the model's evaluation.
        name: of the model.
    """
    inputs = ModelInputs(run=name, evaluation=evaluation, pixels="bgr", formats=[], images=1)
    output = storage.StepOutput(root, ModelManifest, inputs, "models/")
    return output.finish(graph=str(output.folder / "graph.pb"), sha256={"graph.pb": name})


def champion(model: str, data: str = "coco", beaten: str | None = None, **content: Any) -> Champion:
    """An entry of a registry that was not registered yet.

    Args:
        model: checksum of the model's file.
        data: fingerprint of the data set.
        beaten: entry of the champion before it.
        content: other fields.
    """
    fields: dict[str, Any] = {
        **{"model": model, "data": data, "beaten": beaten, "run": None, "time": "", "reason": ""},
        "figures": {"AP": 0.5},
        "evaluation": ChampionEvaluation(folder="", fingerprint=""),
        "export": ChampionExport(folder=f"models/{model}", fingerprint="", graph="graph.pb", sha256={}),
    }
    return Champion(**fields | content)
