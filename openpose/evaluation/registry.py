"""The champion: the model that was accepted last, in `registry/<name>/` below the storage root.

Each accepted model is an entry, one JSON file `<number>-<model>.json` that is written once and never changed, so that
the files are the history. The last entry of a data set is its champion. `latest.json` says where the model's files are
that were accepted last of all; in a file system `latest` is also a link to their folder.
"""

import re
from typing import Any

from openpose import storage
from openpose.errors import InputError

_ENTRY = re.compile(r"(\d{5})-[0-9a-f]{12}\.json")


class Registry:
    """The accepted models of a name.

    Args:
        root: the storage root.
        name: of the registry: letters, digits, dots, dashes and underscores.

    Raises:
        InputError: the name cannot be one of a folder.
    """

    def __init__(self, root: storage.StoragePath, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
            raise InputError(f"registry {name!r}: give a name of letters, digits, dots, dashes and underscores")
        self.folder = root / "registry" / name

    def champion(self, data: str) -> dict[str, Any] | None:
        """The entry of the model that was accepted last for the data set of this fingerprint.

        Raises:
            InputError: an entry cannot be read.
        """
        for name in reversed(self._names()):
            entry = self.read(name)
            if entry["data"] == data:
                return entry
        return None

    def to_beat(self, data: str, model: str) -> dict[str, Any] | None:
        """The entry that a model is compared with: the champion, or when it is that itself, the one that it beat.

        So the same run once more is judged as it was before.

        Args:
            data: fingerprint of the data set.
            model: checksum of the model's file.
        """
        champion = self.champion(data)
        if champion is None or champion["model"] != model:
            return champion
        return self.read(champion["beaten"]) if champion["beaten"] in self._names() else None

    def read(self, name: str) -> dict[str, Any]:
        """An entry.

        Raises:
            InputError: missing, damaged or of another version.
        """
        entry = storage.read_json(self.folder / name)
        if not isinstance(entry, dict) or entry.get("schema") != storage.SCHEMA:
            raise InputError(
                f"{self.folder / name}: no entry of a registry that this version reads; remove it, or give another "
                "registry's name"
            )
        return entry

    def add(self, content: dict[str, Any], latest: storage.StoragePath) -> dict[str, Any]:
        """Makes a model the champion of its data set.

        Args:
            content: of the entry; `data`, `model` and `beaten` (an entry's name, or None) are among it.
            latest: folder of the model's files.

        Returns:
            The whole entry.
        """
        names = self._names()
        number = int(names[-1][:5]) + 1 if names else 1
        name = f"{number:05d}-{content['model'][:12]}.json"
        entry = {"schema": storage.SCHEMA, "entry": name, **content}
        storage.write_json(self.folder / name, entry)
        storage.write_latest(self.folder / "latest", latest)
        return entry

    def _names(self) -> list[str]:
        """The entries' names, the oldest first."""
        return sorted(name for name in storage.sizes(self.folder) if _ENTRY.fullmatch(name))
