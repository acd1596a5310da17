"""KFP's declaration of the step."""

from kfp import dsl


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def check(
    root: str,
    accelerator: str,
    model: str,
    width: float,
    stages: int,
    init: str,
    init_partial: bool,
    size: int,
    input_width: int,
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
    min_scale: float,
    max_scale: float,
    max_rotation: float,
    seed: int,
    save_minutes: float,
    ap_images: int,
    gpus: int,
    workers: int,
    dense: str,
    min_ap: float,
    max_valid_loss: float,
    tolerance: float,
    registry: str,
    pixels: str,
    formats: str,
) -> str:
    """Refuses parameters that cannot work, in seconds; hands on how many accelerators the training asks for."""
    from components import artifacts
    from components.check.check import check

    with artifacts.clear_errors():
        check(
            root=root,
            train={
                "model": model,
                "width": width,
                "stages": int(stages),
                "init": init,
                "init_partial": init_partial,
                "size": int(size),
                "input_width": int(input_width),
                "batch": int(batch_size),
                "epochs": int(epochs),
                "learning_rate": learning_rate,
                "decay": decay,
                "warmup": int(warmup),
                "optimizer": optimizer,
                "weight_decay": weight_decay,
                "clip_norm": clip_norm,
                "backbone_rate": backbone_rate,
                "freeze_norms": freeze_norms,
                "ema": ema,
                "accumulate": int(accumulate),
                "precision": precision,
                "early_stop": int(early_stop),
                "min_scale": min_scale,
                "max_scale": max_scale,
                "max_rotation": max_rotation,
                "seed": int(seed),
            },
            demands={"min_ap": min_ap, "max_valid_loss": max_valid_loss, "tolerance": tolerance},
            workers=int(workers),
            dense=dense,
            save_minutes=save_minutes,
            ap_images=int(ap_images),
            gpus=int(gpus),
            accelerator=accelerator,
            registry=registry,
            pixels=pixels,
            formats=formats,
        )
    # KFP 2.17's driver reads a pod's number of accelerators from a text only; a number is silently none.
    return str(int(gpus))
