"""KFP's declarations of the step: one that measures a worker's share, and one that judges the model."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def evaluate_share(
    run: Input[Model], valid_records: Input[Dataset], root: str, share: dict, parameters: dict, revision: str
) -> None:
    """Measures a trained model on one worker's share of the validation split."""
    from components import artifacts
    from components.command import call
    from components.evaluate.evaluate import evaluate_share

    with artifacts.clear_errors():
        places = {"root": root, "run": run.path, "valid_records": valid_records.path}
        call(evaluate_share, {**places, "height": parameters["height"], "revision": revision, **share})


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def evaluate(
    run: Input[Model],
    valid_records: Input[Dataset],
    root: str,
    shares: list[dict],
    parameters: dict,
    revision: str,
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    evaluation_page: Output[HTML],
    detections: Output[Artifact],
) -> NamedTuple("Judged", [("verdict", str), ("reason", str)]):  # type: ignore[valid-type]
    """Measures a trained model on the whole validation split, judges it, and reports on it."""
    from components import artifacts
    from components.command import call
    from components.evaluate.evaluate import evaluate

    with artifacts.clear_errors():
        places = {"root": root, "run": run.path, "valid_records": valid_records.path}
        manifest = call(evaluate, {**places, **parameters, "revision": revision, "shares": len(shares)})
        artifacts.write_manifest(evaluation, manifest)
        speed = {"images_per_second": manifest.images_per_second}
        artifacts.write_metrics(metrics, manifest.figures | speed)
        artifacts.copy_file(evaluation_page, manifest.report)
        artifacts.copy_file(detections, manifest.detections)
    return manifest.verdict, manifest.reason
