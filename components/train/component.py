"""KFP's declaration of the step."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def train(
    train_records: Input[Dataset],
    valid_records: Input[Dataset],
    root: str,
    parameters: dict,
    revision: str,
    run: Output[Model],
    metrics: Output[Metrics],
    training_page: Output[HTML],
) -> None:
    """Trains a network, or resumes the same training from its newest checkpoint."""
    from components import artifacts
    from components.command import call
    from components.train.train import train

    with artifacts.clear_errors():
        places = {"root": root, "train_records": train_records.path, "valid_records": valid_records.path}
        manifest = call(train, {**places, **parameters, "revision": revision})
        assert manifest is not None  # because this is the first worker
        artifacts.write_manifest(run, manifest)
        artifacts.write_metrics(metrics, manifest.losses)
        artifacts.copy_file(training_page, manifest.report)
