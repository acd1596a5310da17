"""After the last step: the exported model becomes the champion that the next ones are compared with."""

import time
from typing import Any

from components import status
from openpose import storage
from openpose.errors import InputError
from openpose.evaluation.registry import Registry


def register(root: str, evaluation: str, model: str, made_of: str = "") -> dict[str, Any]:
    """Makes an accepted and exported model the champion of its data set.

    When another model has become champion since the evaluation, and this one is worse than that by more than the
    evaluation's tolerance, the champion stays.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        evaluation: Manifest of the evaluation that accepted the model.
        model: Manifest of its export.
        made_of: Fingerprint of code, parameters and data, by which a later run knows that it would be this one again.

    Returns:
        The champion's entry in the registry.

    Raises:
        InputError: a manifest cannot be used, or the model was rejected.
    """
    folder = storage.open_root(root)
    with status.step(folder, "register") as step:
        judged, exported = storage.open_manifest(evaluation, "evaluation"), storage.open_manifest(model, "model")
        if judged["verdict"] != "accepted":
            raise InputError(f"{evaluation}: the model was rejected: {judged['reason']}")
        if exported["inputs"]["evaluation"] != judged["fingerprint"]:
            raise InputError(f"{model}: is of another evaluation than {evaluation}; give those of one model")
        registry = Registry(folder, judged["inputs"]["registry"])
        champion = registry.champion(judged["inputs"]["data"])
        if champion and _is_same(champion, exported, made_of):
            step.found = True
            print(f"found champion in {registry.folder / champion['entry']}: nothing to do", flush=True)
        elif champion and _is_better(champion, judged):
            print(
                f"not registered: {champion['entry']} became champion in the meantime, with a COCO AP of "
                f"{champion['figures']['AP']:.3f}",
                flush=True,
            )
        else:
            champion = registry.add(_entry(judged, exported, champion, made_of), storage.path(exported["folder"]))
            print(f"champion in {registry.folder / champion['entry']}", flush=True)
        step.manifest_path = registry.folder / champion["entry"]
        return champion


def _is_same(champion: dict[str, Any], exported: dict[str, Any], made_of: str) -> bool:
    """Whether the registry has all of it already; a step that was called by hand says nothing of `made_of`."""
    return champion["export"]["fingerprint"] == exported["fingerprint"] and made_of in ("", champion.get("made_of"))


def _is_better(champion: dict[str, Any], judged: dict[str, Any]) -> bool:
    """Whether the champion is another one than the model was compared with, and better by more than is tolerated."""
    compared = judged["inputs"]["champion"]
    if champion["model"] == judged["inputs"]["model"] or (compared and compared["entry"] == champion["entry"]):
        return False
    best, ap = champion["figures"]["AP"], judged["figures"]["AP"]
    return best is not None and ap is not None and ap < best - judged["inputs"]["tolerance"]


def _entry(
    judged: dict[str, Any], exported: dict[str, Any], champion: dict[str, Any] | None, made_of: str
) -> dict[str, Any]:
    inputs = judged["inputs"]
    same = champion is not None and champion["model"] == inputs["model"]
    return {
        "data": inputs["data"],
        "model": inputs["model"],
        "run": inputs["run"],
        "revision": inputs["revision"],
        "made_of": made_of,
        "beaten": (champion["beaten"] if same else champion["entry"]) if champion else None,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "reason": judged["reason"],
        "figures": judged["figures"],
        "evaluation": {key: judged[key] for key in ("folder", "fingerprint")},
        "export": {key: exported[key] for key in ("folder", "fingerprint", "graph", "sha256")},
        # What a manifest has too, for those to whom the entry is handed on as one.
        "folder": exported["folder"],
        "fingerprint": exported["fingerprint"],
    }
