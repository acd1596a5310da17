"""KFP's declarations of the step: one for each worker's share, and one that collects the manifests."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def tfrecord_targets(data: Input[Dataset], root: str, share: dict, parameters: dict) -> None:
    """Writes one worker's share of a split's TFRecord shards."""
    from components import artifacts
    from components.command import call
    from components.tfrecord_targets.tfrecord_targets import tfrecord_targets

    with artifacts.clear_errors():
        call(tfrecord_targets, {"root": root, "data": data.path, **share, **parameters})


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def collect_records(
    data: Input[Dataset],
    root: str,
    parameters: dict,
    train_records: Output[Dataset],
    valid_records: Output[Dataset],
) -> None:
    """Collects the manifests of both splits' records after all workers have finished."""
    from components import artifacts
    from components.command import call
    from components.tfrecord_targets.tfrecord_targets import collect_records

    with artifacts.clear_errors():
        for split, artifact in (("train", train_records), ("val", valid_records)):
            manifest = call(collect_records, {"root": root, "split": split, "data": data.path, **parameters})
            artifacts.write_manifest(artifact, manifest)
