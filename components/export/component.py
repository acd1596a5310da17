"""KFP's declarations of the step: the model's files, or a report that says why there are none."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Markdown, Model, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def export(
    run: Input[Model],
    evaluation: Input[Artifact],
    train_records: Input[Dataset],
    valid_records: Input[Dataset],
    root: str,
    pixels: str,
    formats: str,
    revision: str,
    graph: Output[Model],
) -> None:
    """Writes the model in the formats that programs load, and checks that each still says the same."""
    from components import artifacts
    from components.export.export import export

    with artifacts.clear_errors():
        manifest = export(
            root=root,
            run=run.path,
            evaluation=evaluation.path,
            valid_records=valid_records.path,
            pixels=pixels,
            formats=formats,
            train_records=train_records.path,
            revision=revision,
        )
        artifacts.write_manifest(graph, manifest)


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def explain_rejection(reason: str, evaluation: Input[Artifact], explanation: Output[Markdown]) -> None:
    """Says why the model is not exported."""
    from pathlib import Path

    from components import artifacts
    from components.export.export import rejection
    from openpose import storage

    with artifacts.clear_errors():
        text = rejection(reason, storage.open_manifest(evaluation.path, "evaluation"))
        storage.write_text(Path(explanation.path), text)
        print(text)
