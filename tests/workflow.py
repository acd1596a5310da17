"""The retrain workflow's own commands, read out of its YAML, as GitHub would run them."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/retrain.yml").read_text())
JOB: dict[str, Any] = DOCUMENT["jobs"]["retrain"]


def run(step: str, summary: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Runs a step of the workflow.

    Args:
        step: its name.
        summary: file that gets the job's summary.
        given: variables, secrets and inputs, as `vars_REGISTRY`, `secrets_…` and `inputs_…`; the others are empty.
    """
    (command,) = (each["run"] for each in JOB["steps"] if each.get("name") == step)
    environment = {name: _filled(text, given) for name, text in JOB["env"].items()}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env=os.environ | environment | {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": f"{summary}.outputs"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _filled(text: str, given: dict[str, str]) -> str:
    """GitHub's expressions, as far as the workflow has them: names and texts with || between them."""

    def value(expression: re.Match[str]) -> str:
        parts = (part.strip() for part in expression[1].split("||"))
        known = (part.strip("'") if part.startswith("'") else given.get(part.replace(".", "_"), "") for part in parts)
        return next(filter(None, known), "")

    return re.sub(r"\$\{\{(.+?)\}\}", value, text)
