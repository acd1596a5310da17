"""KFP's declaration of the step: the exit handler, which always runs."""

from kfp import dsl
from kfp.dsl import Markdown, Output, PipelineTaskFinalStatus


@dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)
def finish(root: str, status: PipelineTaskFinalStatus, summary: Output[Markdown]) -> None:
    """Sums up the run, also after a failed step."""
    from pathlib import Path

    from components.finish.finish import finish
    from openpose import storage

    made = finish(root=root, state=status.state, message=status.error_message or "")
    storage.write_text(Path(summary.path), made.markdown())
