"""KFP's declaration of the step."""

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def check(
    root: str,
    machine: dict,
    watcher: dict,
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
    sigma: float,
    seed: int,
    save_minutes: float,
    ap_images: int,
    machines: int,
    gpus: int,
    workers: int,
    shard_mb: float,
    images_per_shard: int,
    max_bad_share: float,
    dense: str,
    height: int,
    min_ap: float,
    max_valid_loss: float,
    tolerance: float,
    registry: str,
    pixels: str,
    formats: str,
    revision: str,
) -> NamedTuple("Checked", cpu=str, memory=str, accelerators=str, recipe=str):  # type: ignore[valid-type]
    """Refuses parameters that cannot work, in seconds; hands on what the training's step asks for.

    With several machines it only watches over the pods that train.
    """
    given = dict(locals())
    inputs = {**given, "batch": batch_size}
    from typing import NamedTuple

    from components import artifacts
    from components.check.check import check, recipe
    from components.evaluate.verdict import AcceptanceThresholds
    from openpose.training.parameters import TrainParameters

    with artifacts.clear_errors():
        training, demands = (artifacts.select_inputs(kind, inputs) for kind in (TrainParameters, AcceptanceThresholds))
        check(train=training, demands=demands, **artifacts.select_inputs(check, inputs))

    class Checked(NamedTuple):
        cpu: str
        memory: str
        accelerators: str
        recipe: str

    alone = int(machines) == 1
    pod = machine if alone else watcher
    # KFP 2.17's driver reads a pod's number of accelerators from a text only; a number is silently none.
    return Checked(pod.get("cpu", ""), pod.get("memory", ""), str(int(gpus) if alone else 0), recipe(given))
