"""The disk use of a storage root by kind of file."""

from collections.abc import Mapping

CHECKPOINTS = "checkpoints"


def kind(name: str) -> str:
    """The kind of a file: the folder below the root in which it lies, or checkpoints.

    Args:
        name: of the file, relative to the root.
    """
    parts = name.split("/")
    return CHECKPOINTS if parts[0] == "runs" and CHECKPOINTS in parts[2:3] else parts[0] if len(parts) > 1 else "other"


def by_kind(files: Mapping[str, int]) -> dict[str, int]:
    """The bytes of each kind, the largest first.

    Args:
        files: bytes of each file, by its name relative to the root.
    """
    total: dict[str, int] = {}
    for name, size in files.items():
        total[kind(name)] = total.get(kind(name), 0) + size
    return dict(sorted(total.items(), key=lambda each: -each[1]))


def text(count: int) -> str:
    """A number of bytes for people."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
