"""KFP's declaration of the step."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Output


# KFP's local runner loops only over a list that is a step's one return value.
@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def coco_download(
    source: str,
    root: str,
    train_annotations: str,
    val_annotations: str,
    train_pictures: str,
    val_pictures: str,
    val_share: float,
    seed: int,
    unpack: bool,
    workers: int,
    data: Output[Dataset],
    page: Output[HTML],
) -> list[dict]:
    """Fetches or finds a data set in COCO's format, checks it, and plans the workers' shares of its records."""
    from components import artifacts
    from components.coco_download.coco_download import coco_download
    from components.tfrecord_targets.tfrecord_targets import plan

    with artifacts.clear_errors():
        shares = plan(int(workers))
        manifest = coco_download(
            source=source,
            root=root,
            train_annotations=train_annotations,
            val_annotations=val_annotations,
            train_pictures=train_pictures,
            val_pictures=val_pictures,
            val_share=val_share,
            seed=int(seed),
            unpack=unpack,
        )
        artifacts.write_manifest(data, manifest)
        artifacts.write_page(page, manifest["report"])
    return shares
