"""KFP's declarations of the steps: a plan, a share for each worker, and one result."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def plan_prediction(
    pictures: str,
    root: str,
    model: str,
    registry: str,
    workers: int,
    height: int,
    flip: bool,
    draw: bool,
    revision: str,
) -> NamedTuple("Planned", [("folder", str), ("shares", list[dict])]):  # type: ignore[valid-type]
    """Lists the pictures, loads the model once, and plans the workers' shares."""
    from components import artifacts
    from components.predict.parameters import PredictParameters
    from components.predict.predict import plan, shares

    with artifacts.clear_errors():
        parameters = PredictParameters.select({"height": height, "flip": flip, "draw": draw})
        return plan(root, pictures, model, registry, parameters, revision), shares(int(workers))


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def predict(folder: str, share: dict) -> None:
    """Finds the people in one worker's pictures."""
    from components import artifacts
    from components.predict.predict import predict_share

    with artifacts.clear_errors():
        predict_share(folder, int(share["share"]), int(share["of"]))


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def collect_predictions(folder: str, predictions: Output[Artifact]) -> None:
    """Writes one result of all workers' people, as COCO results and as a COCO data set."""
    from components import artifacts
    from components.predict.predict import collect

    with artifacts.clear_errors():
        artifacts.write_manifest(predictions, collect(folder))
