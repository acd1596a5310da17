"""The registry of accepted models: `registry/<name>/` below the storage root.

The model that was accepted last on a data set is its champion. Each accepted model is an entry, one JSON file
`<number>-<model>.json`. Entries are never changed, so the files are the history. `latest.json` names the folder of the
model that was accepted last, for any data set; in a file system `latest` is also a link to that folder.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

from openpose import storage
from openpose.errors import InputError

_ENTRY = re.compile(r"(\d{5})-[0-9a-f]{12}\.json")


@dataclass(frozen=True, kw_only=True)
class ChampionEvaluation:
    """The evaluation that accepted a champion."""

    folder: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class ChampionExport:
    """A champion's files: their folder, its manifest's fingerprint, the frozen graph, and the checksum of each file."""

    folder: str
    fingerprint: str
    graph: str
    sha256: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The run that registered a champion, as Kubeflow and MLflow know it; empty where they are not used.

    Attributes:
        run: Kubeflow's identifier of the run.
        name: the run's name.
        tracking: address of the MLflow server.
        tracked: MLflow's identifier of the step's run, which is below that of the whole run.
        hub: address of Kubeflow's Model Registry, where the champion is a version that is called like its entry.
    """

    run: str = ""
    name: str = ""
    tracking: str = ""
    tracked: str = ""
    hub: str = ""


@dataclass(frozen=True, kw_only=True)
class Champion:
    """An entry of a registry.

    Attributes:
        entry: name of its file, which the registry gives.
        registry: name of the registry, which it gives too.
        data: fingerprint of the data set's validation split.
        model: checksum of the Keras model.
        run: fingerprint of the training; None if that is not known.
        revision: of the code that evaluated it.
        made_of: fingerprint of the code, parameters and data of its run; empty if that is not known.
        beaten: name of the entry of the champion before it; None for the first.
        time: when it was registered (UTC).
        reason: of the verdict.
        figures: COCO's figures, the pixel errors and the losses, by name; None if undefined.
        evaluation: that accepted it.
        export: its files.
        origin: the run that registered it.
    """

    entry: str = ""
    registry: str = ""
    data: str
    model: str
    run: str | None
    revision: str = ""
    made_of: str = ""
    beaten: str | None
    time: str
    reason: str
    figures: dict[str, float | None]
    evaluation: ChampionEvaluation
    export: ChampionExport
    origin: Origin = Origin()

    @property
    def version(self) -> str:
        """Its name in Kubeflow's Model Registry, and of its page."""
        return self.entry.removesuffix(".json")

    def as_document(self) -> dict[str, Any]:
        """The entry as it is written, with `folder` and `fingerprint` as manifests have them."""
        of_files = {"folder": self.export.folder, "fingerprint": self.export.fingerprint}
        return {"schema": storage.SCHEMA, **storage.to_json(self), **of_files}


def read_champion(place: storage.StoragePath) -> Champion:
    """Reads an entry.

    Raises:
        InputError: it is missing, damaged or of another version.
    """
    document = storage.read_json(place)
    return storage.read_document(document, place, Champion, cure="remove it, or give another registry's name")


class Registry:
    """One registry.

    Args:
        root: the storage root.
        name: of the registry: letters, digits, dots, dashes and underscores.

    Raises:
        InputError: a folder cannot have this name.
    """

    def __init__(self, root: storage.StoragePath, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
            raise InputError(f"registry {name!r}: give a name of letters, digits, dots, dashes and underscores")
        self._root, self.name, self.folder = root, name, root / "registry" / name

    def champion(self, data: str) -> Champion | None:
        """Finds the model that was accepted last for a data set, given by fingerprint.

        Raises:
            InputError: an entry cannot be read.
        """
        for name in reversed(self._names()):
            entry = self._read(name)
            if entry.data == data:
                return entry
        return None

    def newest(self) -> str:
        """The folder of the model that was accepted last, for any data set.

        It is below this root, also where the root was written under another path: copied, or mounted elsewhere.

        Raises:
            InputError: none was.
        """
        place = self.folder / "latest.json"
        if not place.exists():
            raise InputError(f"{place}: no model was accepted there; give another registry, or a model")
        written = storage.path(storage.read_json(place)["folder"])
        return str(self._root / written.parent.name / written.name)

    def entry_of(self, model: str) -> Champion | None:
        """Finds the newest entry of an exported model by the name of its folder; None if there is none."""
        entries = map(self._read, reversed(self._names()))
        return next((entry for entry in entries if storage.path(entry.export.folder).name == model), None)

    def to_beat(self, data: str, model: str) -> Champion | None:
        """Finds the model to compare with: the champion; for the champion itself, the one that it beat.

        So an evaluation that is repeated comes to the same verdict.

        Args:
            data: fingerprint of the data set.
            model: checksum of the model's file.
        """
        champion = self.champion(data)
        if champion is None or champion.model != model:
            return champion
        return self._read(champion.beaten) if champion.beaten in self._names() else None

    def add(self, champion: Champion) -> Champion:
        """Makes a model the champion of its data set; returns it with the name of its entry."""
        names = self._names()
        number = int(names[-1][:5]) + 1 if names else 1
        champion = replace(champion, entry=f"{number:05d}-{champion.model[:12]}.json", registry=self.name)
        storage.write_json(self.folder / champion.entry, champion.as_document())
        storage.write_latest(self.folder / "latest", storage.path(champion.export.folder))
        return champion

    def _read(self, name: str) -> Champion:
        return replace(read_champion(self.folder / name), registry=self.name)

    def _names(self) -> list[str]:
        """Names of the entries, oldest first."""
        return sorted(name for name in storage.sizes(self.folder) if _ENTRY.fullmatch(name))
