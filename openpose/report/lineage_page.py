"""The line from a served model back to its data, on one page."""

from openpose.evaluation.registry import Champion
from openpose.report import page


def lineage_page(champion: Champion, served: str = "") -> str:
    """Renders where a registered model comes from.

    Args:
        champion: its entry in the registry.
        served: the file that a server serves; empty for a page that no server makes.
    """
    origin = champion.origin
    tables = {
        "Server": {"serves": served},
        "Files": dict(sorted(champion.export.sha256.items())),
        "Version": {
            "registry": f"{champion.registry}, entry {champion.entry}, of {champion.time}",
            "Kubeflow Model Registry": origin.hub
            and f"{champion.registry}, version {champion.version}, at {origin.hub}",
            "champion before": champion.beaten or "none",
        },
        "Evaluation": {
            "folder": champion.evaluation.folder,
            "fingerprint": champion.evaluation.fingerprint,
        },
        "Runs": {
            "MLflow": origin.tracked and f"run {origin.tracked} (of the step register) at {origin.tracking}",
            "Kubeflow Pipelines": origin.run and f"{origin.name} ({origin.run})",
            "training": champion.run or "",
            "code": champion.revision,
        },
        "Data": {"validation split": champion.data},
    }
    return page.render(
        title=f"{champion.registry} {champion.version}: from the server to the data",
        verdict="accepted",
        reason=champion.reason,
        figures=[(name, page.number(value), None) for name, value in champion.figures.items()],
        split_names=[""],
        tables={
            caption: kept
            for caption, rows in tables.items()
            if (kept := {name: [text] for name, text in rows.items() if text})
        },
    )
