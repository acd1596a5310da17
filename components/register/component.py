"""KFP's declaration of the step."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input, Output


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def register(
    evaluation: Input[Artifact],
    model: Input[Artifact],
    root: str,
    made_of: str,
    run_name: str,
    champion: Output[Artifact],
    lineage: Output[HTML],
) -> None:
    """Makes an accepted and exported model the champion of its data set."""
    from pathlib import Path

    from components import artifacts
    from components.register.register import register
    from openpose import storage
    from openpose.report.lineage_page import lineage_page

    with artifacts.clear_errors():
        entry = register(root=root, evaluation=evaluation.path, model=model.path, made_of=made_of, run_name=run_name)
        artifacts.write_manifest(champion, entry)
        storage.write_text(Path(lineage.path), lineage_page(entry))
