"""KFP's declarations of the step: the model, or a report that says why there are none."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Markdown, Model, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def export(
    run: Input[Model],
    evaluation: Input[Artifact],
    train_records: Input[Dataset],
    valid_records: Input[Dataset],
    root: str,
    parameters: dict,
    revision: str,
    graph: Output[Model],
    model: Output[Artifact],
) -> None:
    """Writes the model in the formats that programs load, and compares each with the trained model."""
    from components import artifacts
    from components.command import call
    from components.export.export import export

    with artifacts.clear_errors():
        inputs = {"run": run, "evaluation": evaluation, "train_records": train_records, "valid_records": valid_records}
        places = {"root": root, **{name: artifact.path for name, artifact in inputs.items()}}
        manifest = call(export, {**places, **parameters, "revision": revision})
        artifacts.write_manifest(model, manifest)
        artifacts.copy_file(graph, manifest.graph)
        graph.metadata |= {"folder": manifest.folder, "files": ", ".join(sorted(manifest.sha256))}


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def explain_rejection(reason: str, evaluation: Input[Artifact], explanation: Output[Markdown]) -> None:
    """Says why the model is not exported."""
    from pathlib import Path

    from components import artifacts
    from components.export.export import rejection
    from openpose import storage
    from openpose.evaluation.manifest import EvaluationManifest

    with artifacts.clear_errors():
        text = rejection(reason, storage.open_manifest(evaluation.path, EvaluationManifest))
        storage.write_text(Path(explanation.path), text)
        print(text)
