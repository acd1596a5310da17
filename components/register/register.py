"""The step after the export: makes the model the champion, with which later models are compared."""

import time

from components import status
from components.register import hub
from openpose import storage, tracking
from openpose.coco import remote_files
from openpose.errors import InputError
from openpose.evaluation.manifest import EvaluationManifest
from openpose.evaluation.registry import Champion, ChampionEvaluation, ChampionExport, Origin, Registry
from openpose.model_files.manifest import ModelManifest
from openpose.report.lineage_page import lineage_page


def register(root: str, evaluation: str, model: str, made_of: str = "", run_name: str = "") -> Champion:
    """Makes an accepted and exported model the champion of its data set.

    If another model has become champion since the evaluation, and this model's COCO AP is lower by more than the
    evaluation's tolerance, the champion stays. Where Kubeflow's Model Registry is installed, or the variable
    MODEL_REGISTRY_BASE_URL names one, the champion becomes a version there.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        evaluation: Manifest of the evaluation that accepted the model.
        model: Manifest of its export.
        made_of: Fingerprint of code, parameters and data, by which a later run notices that it would repeat this one.
        run_name: Name of the run on Kubeflow.

    Returns:
        The champion's entry in the registry.

    Raises:
        InputError: a manifest cannot be used, or the model was rejected.
    """
    folder = storage.open_root(root)
    with status.step(folder, "register") as step:
        judged = storage.open_manifest(evaluation, EvaluationManifest)
        exported = storage.open_manifest(model, ModelManifest)
        if judged.verdict != "accepted":
            raise InputError(f"{evaluation}: the model was rejected: {judged.reason}")
        if exported.inputs.evaluation != judged.fingerprint:
            raise InputError(f"{model}: belongs to another evaluation than {evaluation}; give two that match")
        registry = Registry(folder, judged.inputs.registry)
        champion = registry.champion(judged.inputs.data)
        if champion and _is_same(champion, exported, made_of):
            step.found = True
            print(f"found champion in {registry.folder / champion.entry}: nothing to do", flush=True)
        elif champion and _is_better(champion, judged):
            print(
                f"not registered: {champion.entry} became champion in the meantime, with a COCO AP of "
                f"{champion.figures['AP']:.3f}",
                flush=True,
            )
        else:
            champion = registry.add(_entry(judged, exported, champion, made_of, run_name))
            print(f"champion in {registry.folder / champion.entry}", flush=True)
        if champion.export.fingerprint == exported.fingerprint:  # also what an earlier attempt has begun
            storage.write_text(registry.folder / f"{champion.version}.html", lineage_page(champion))
            if at := hub.address():
                hub.add(champion, exported, at)
        step.manifest_path = registry.folder / champion.entry
        tracking.tags({"registry": judged.inputs.registry, "champion": champion.entry})
        return champion


def _is_same(champion: Champion, exported: ModelManifest, made_of: str) -> bool:
    """Whether the registry already has this export; `made_of` is empty if the step is called by hand."""
    return champion.export.fingerprint == exported.fingerprint and made_of in ("", champion.made_of)


def _is_better(champion: Champion, judged: EvaluationManifest) -> bool:
    """Whether a champion newer than the evaluation beats the model by more than the tolerance."""
    compared = judged.inputs.champion
    if champion.model == judged.inputs.model or (compared and compared.entry == champion.entry):
        return False
    best, ap = champion.figures["AP"], judged.figures["AP"]
    return best is not None and ap is not None and ap < best - judged.inputs.tolerance


def _entry(
    judged: EvaluationManifest, exported: ModelManifest, champion: Champion | None, made_of: str, run_name: str
) -> Champion:
    inputs = judged.inputs
    same = champion is not None and champion.model == inputs.model
    return Champion(
        data=inputs.data,
        model=inputs.model,
        run=inputs.run,
        revision=inputs.revision,
        made_of=made_of,
        beaten=(champion.beaten if same else champion.entry) if champion else None,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        reason=judged.reason,
        figures=judged.figures,
        evaluation=ChampionEvaluation(folder=judged.folder, fingerprint=judged.fingerprint),
        export=ChampionExport(
            folder=exported.folder, fingerprint=exported.fingerprint, graph=exported.graph, sha256=exported.sha256
        ),
        origin=Origin(run=status.run(), name=run_name, hub=remote_files.public(hub.address()), **tracking.place()),
    )
