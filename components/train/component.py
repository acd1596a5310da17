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
    min_scale: float,
    max_scale: float,
    max_rotation: float,
    seed: int,
    revision: str,
    run: Output[Model],
    metrics: Output[Metrics],
    page: Output[HTML],
    warmup: int = 200,
    optimizer: str = "adam",
    weight_decay: float = 0.0005,
    momentum: float = 0.9,
    clip_norm: float = 0.0,
    backbone_rate: float = 1.0,
    ema: float = 0.0,
    accumulate: int = 1,
    precision: str = "float32",
    early_stop: int = 0,
    init: str = "",
    init_partial: bool = False,
    input_width: int = 0,
    gpus: int = 0,
    checkpoint: str = "",
    save_steps: int = 0,
    save_minutes: float = 10.0,
    keep: int = 2,
    log_steps: int = 20,
    logs: str = "",
    remote_data: str = "",
    xla: bool = False,
) -> None:
    """Trains a network, going on from the newest checkpoint of the same training."""
    from components import artifacts
    from components.train.train import train

    with artifacts.clear_errors():
        manifest = train(
            root=root,
            train_records=train_records.path,
            valid_records=valid_records.path,
            model=model,
            width=width,
            stages=int(stages),
            size=int(size),
            batch_size=int(batch_size),
            epochs=int(epochs),
            learning_rate=learning_rate,
            decay=decay,
            min_scale=min_scale,
            max_scale=max_scale,
            max_rotation=max_rotation,
            seed=int(seed),
            revision=revision,
            warmup=int(warmup),
            optimizer=optimizer,
            weight_decay=weight_decay,
            momentum=momentum,
            clip_norm=clip_norm,
            backbone_rate=backbone_rate,
            ema=ema,
            accumulate=int(accumulate),
            precision=precision,
            early_stop=int(early_stop),
            init=init,
            init_partial=init_partial,
            input_width=int(input_width),
            gpus=int(gpus),
            checkpoint=checkpoint,
            save_steps=int(save_steps),
            save_minutes=save_minutes,
            keep=int(keep),
            log_steps=int(log_steps),
            logs=logs,
            remote_data=remote_data,
            xla=xla,
        )
        artifacts.write_manifest(run, manifest)
        artifacts.write_metrics(metrics, manifest["losses"])
        artifacts.write_page(page, manifest["report"])
