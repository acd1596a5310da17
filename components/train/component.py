"""KFP's declaration of the step."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def train(
    train_records: Input[Dataset],
    valid_records: Input[Dataset],
    root: str,
    model: str,
    width: float,
    stages: int,
    size: int,
    batch_size: int,
    epochs: int,
    learning_rate: str,
    decay: str,
    warmup: int,
    optimizer: str,
    weight_decay: float,
    clip_norm: float,
    backbone_rate: float,
    freeze_norms: bool,
    ema: float,
    accumulate: int,
    precision: str,
    early_stop: int,
    init: str,
    init_partial: bool,
    input_width: int,
    machines: int,
    gpus: int,
    save_minutes: float,
    ap_images: int,
    min_scale: float,
    max_scale: float,
    max_rotation: float,
    sigma: float,
    seed: int,
    revision: str,
    run: Output[Model],
    metrics: Output[Metrics],
    page: Output[HTML],
) -> None:
    """Trains a network, going on from the newest checkpoint of the same training."""
    inputs = {**locals(), "train_records": train_records.path, "valid_records": valid_records.path}
    from components import artifacts
    from components.train.train import train

    with artifacts.clear_errors():
        manifest = train(**artifacts.select_inputs(train, inputs))
        assert manifest is not None  # the first worker
        artifacts.write_manifest(run, manifest)
        artifacts.write_metrics(metrics, manifest.losses)
        artifacts.write_page(page, manifest.report)
