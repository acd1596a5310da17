"""KFP's declaration of the step."""

from kfp import dsl
from kfp.dsl import Dataset, Output


# KFP's local runner loops only over a list that is a step's one return value.
@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def coco_download(source: str, root: str, workers: int, data: Output[Dataset]) -> list:
    """Checks a data set in COCO's layout and plans the workers' shares of its records."""
    from components import artifacts
    from components.coco_download.coco_download import coco_download
    from components.tfrecord_targets.tfrecord_targets import plan

    with artifacts.clear_errors():
        shares = plan(int(workers))
        artifacts.write_manifest(data, coco_download(source=source, root=root))
    return shares
