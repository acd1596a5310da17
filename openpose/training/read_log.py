"""Reads a training's log, as `log` writes it. Free of TensorFlow."""

import json

import numpy as np

from openpose import storage


def read_steps(folder: storage.StoragePath, points: int) -> list[dict[str, float]]:
    """Reads the losses of a training from its log.

    Args:
        folder: of the log.
        points: largest number of points; each is the mean over neighbouring lines.

    Returns:
        `step` and the losses of each point; empty if there is no log.
    """
    place = folder / "steps.jsonl"
    if storage.size(place) is None:
        return []
    lines = [line for text in storage.read_bytes(place).decode().splitlines() if (line := numbers(text))]
    if not lines:
        return []
    names = ["step", *(name for name in lines[0] if name.startswith("loss"))]
    values = np.array([[line[name] for name in names] for line in lines])
    means = [part.mean(0) for part in np.array_split(values, points) if len(part)]
    return [dict(zip(names, mean.tolist(), strict=True)) for mean in means]


def numbers(line: str) -> dict[str, float]:
    """A line's numbers; none of a line that was cut off."""
    try:
        return json.loads(line)
    except ValueError:
        return {}
