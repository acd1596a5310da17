"""KFP's declaration of the step."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Dataset, Output


# The name `Output` is required: otherwise KFP's local runner cannot resolve it in an If without an Else.
@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def coco_download(
    source: str,
    root: str,
    parameters: dict,
    workers: int,
    recipe: str,
    registry: str,
    only_new: bool,
    data: Output[Dataset],
    data_page: Output[HTML],
) -> NamedTuple(  # type: ignore[valid-type]
    "Found", [("Output", str), ("shares", list[dict]), ("evaluation_shares", list[dict]), ("made_of", str)]
):
    """Fetches or finds a data set, checks it, and plans the workers' shares; tells if it is new."""
    from components import artifacts
    from components.coco_download.champion_check import NEW, NOTHING_NEW, is_made_already, made_of
    from components.coco_download.coco_download import coco_download
    from components.command import call
    from components.evaluate.measurement import shares
    from components.tfrecord_targets.tfrecord_targets import plan

    with artifacts.clear_errors():
        written = plan(int(workers))
        manifest = call(coco_download, {"source": source, "root": root, **parameters})
        artifacts.write_manifest(data, manifest)
        artifacts.copy_file(data_page, manifest.report)
        made = made_of(recipe, manifest)
        known = only_new and is_made_already(root=root, data=manifest, made_of=made, registry=registry)
        measured = shares(int(workers), manifest.splits["val"].counts["images"])
    return NOTHING_NEW if known else NEW, written, measured, made
