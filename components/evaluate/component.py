"""KFP's declaration of the step."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def evaluate(
    run: Input[Model],
    valid_records: Input[Dataset],
    root: str,
    height: int,
    min_ap: float,
    max_valid_loss: float,
    tolerance: float,
    registry: str,
    revision: str,
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    page: Output[HTML],
    detections: Output[Artifact],
) -> NamedTuple("Judged", verdict=str, reason=str):  # type: ignore[valid-type]
    """Measures a trained model on the whole validation split, shows it, and judges it."""
    from pathlib import Path
    from typing import NamedTuple

    from components import artifacts
    from components.evaluate.evaluate import evaluate
    from openpose import storage

    with artifacts.clear_errors():
        manifest = evaluate(
            root=root,
            run=run.path,
            valid_records=valid_records.path,
            height=int(height),
            min_ap=min_ap,
            max_valid_loss=max_valid_loss,
            tolerance=tolerance,
            registry=registry,
            revision=revision,
        )
        artifacts.write_manifest(evaluation, manifest)
        speed = {"images_per_second": manifest["images_per_second"]}
        artifacts.write_metrics(metrics, manifest["figures"] | speed)
        artifacts.write_page(page, manifest["report"])
        storage.download(storage.path(manifest["detections"]), Path(detections.path))

    class Judged(NamedTuple):
        verdict: str
        reason: str

    return Judged(manifest["verdict"], manifest["reason"])
