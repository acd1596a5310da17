"""Removes old results below a storage root. It is no step of the DAG; an operator runs it now and then."""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from components import disk_use
from components.disk_use import CHECKPOINTS
from openpose import storage
from openpose.errors import InputError

#: Folders with results, each named by the first digits of its fingerprint.
RESULTS = ("data", "records", "runs", "measurements", "evaluations", "models")
DAY = 24 * 3600.0
PATIENCE = 30 * DAY  # for which a run without a summary counts as one in progress

_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_NAME = re.compile(r"(?:.*-)?([0-9a-f]{12})")


@dataclass
class Result:
    """The folder of a result.

    Attributes:
        place: its path below the root, such as runs/0123456789ab.
        bytes: of its files by kind: its own, or checkpoints.
        changed: Unix time of its last change.
        complete: whether it has a manifest.
        gives: the first 12 digits of the fingerprints by which others name it.
        needs: those of what it was made from.
    """

    place: str
    bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    changed: float = 0.0
    complete: bool = False
    gives: set[str] = field(default_factory=set)
    needs: set[str] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """The folder above it."""
        return self.place.partition("/")[0]


def prune(root: str, days: float = 30.0, delete: bool = False) -> None:
    """Removes old records, runs, checkpoints, evaluations and models that no champion needs; first only lists them.

    It keeps what a champion was made from, the models and evaluations of all earlier champions, what runs in progress
    use, and everything that changed within the given days. A later run makes again what it needs.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        days: Keep everything that changed within so many days; at least 1.
        delete: Remove what is listed.

    Raises:
        InputError: the root does not exist, or days is below 1.
    """
    if not days >= 1:
        raise InputError(f"days is {days}; it must be at least 1, so that nothing of a run in progress is removed")
    folder = storage.path(root)
    files = storage.changes(folder)
    if not files:
        raise InputError(f"{root}: nothing is there; give the storage root of the runs")
    now = time.time()
    results = _results(folder, files)
    total = disk_use.by_kind({name: size for name, (size, _) in files.items()})
    kept = _kept(folder, files, results, now, days)
    leaving = {
        place: result.kind
        for result in results.values()
        if (place := result.place) not in kept and now - result.changed > days * DAY
    }
    for result in results.values():
        if result.complete and result.place in kept and now - result.changed > days * DAY and result.bytes[CHECKPOINTS]:
            leaving[f"{result.place}/{CHECKPOINTS}"] = CHECKPOINTS
    freed: dict[str, int] = defaultdict(int)
    for place in sorted(leaving):
        own = {name: size for name, (size, _) in files.items() if name.startswith(f"{place}/")}
        for name, size in own.items():
            freed[disk_use.kind(name)] += size
        print(f"{'removes' if delete else 'would remove'} {place}: {disk_use.text(sum(own.values()))}", flush=True)
        if delete:
            storage.remove(folder / place / "manifest.json")  # first, so that no step finds half a result
            storage.remove(folder / place)
    print(f"{'kind':<14}{'size':>12}{'removed' if delete else 'removable':>12}")
    for kind in total:
        print(f"{kind:<14}{disk_use.text(total[kind]):>12}{disk_use.text(freed[kind]):>12}")
    print(f"{'all':<14}{disk_use.text(sum(total.values())):>12}{disk_use.text(sum(freed.values())):>12}")
    if leaving and not delete:
        print("nothing was removed; --delete removes it")


def _results(root: storage.StoragePath, files: dict[str, tuple[int, float]]) -> dict[str, Result]:
    """The results below a root by their place."""
    results = dict[str, Result]()
    for name, (size, changed) in files.items():
        parts = name.split("/")
        if parts[0] not in RESULTS or len(parts) < 3 or not (fingerprint := _NAME.fullmatch(parts[1])):
            continue
        result = results.setdefault("/".join(parts[:2]), Result("/".join(parts[:2])))
        result.bytes[disk_use.kind(name)] += size
        result.changed = max(result.changed, changed)
        result.gives.add(fingerprint[1])
    for place, result in results.items():
        for name in ("manifest.json", "run.json"):
            if f"{place}/{name}" in files:
                _read(result, storage.read_json(root / place / name), complete=name == "manifest.json")
    return results


def _read(result: Result, document: object, complete: bool) -> None:
    """Adds what a manifest, or the description of an unfinished run, says of a result."""
    if not isinstance(document, dict):
        return
    result.complete |= complete
    splits = document.get("splits")
    for split in splits.values() if isinstance(splits, dict) else ():  # records name a split of the data
        result.gives |= _prefixes(split.get("fingerprint"))
    inputs = document.get("inputs") if complete else document.get("records")
    if isinstance(inputs, dict):
        inputs = {name: value for name, value in inputs.items() if name != "champion"}  # an evaluation only compares
    result.needs |= _prefixes(inputs)


def _prefixes(document: object) -> set[str]:
    """The first 12 digits of all fingerprints in a JSON document."""
    return {each[:12] for each in _HASH.findall(json.dumps(document))}


def _kept(
    root: storage.StoragePath,
    files: dict[str, tuple[int, float]],
    results: dict[str, Result],
    now: float,
    days: float,
) -> set[str]:
    """The places of results that are needed, with all that they were made from."""
    whole, alone = _of_champions(root, files)
    whole |= _of_unfinished_runs(root, files, now)
    places = {place for place, each in results.items() if each.gives & whole or now - each.changed <= days * DAY}
    while new := {
        place
        for place, each in results.items()
        if place not in places and any(each.gives & results[user].needs for user in places)
    }:
        places |= new
    return places | {place for place, each in results.items() if each.gives & alone}


def _of_champions(root: storage.StoragePath, files: Iterable[str]) -> tuple[set[str], set[str]]:
    """The first digits of the fingerprints of champions, and of earlier champions' models and evaluations."""
    champions, whole, alone = dict[tuple[str, str], set[str]](), set[str](), set[str]()
    for name in sorted(name for name in files if re.fullmatch(r"registry/[^/]+/\d{5}-[0-9a-f]{12}\.json", name)):
        entry = storage.read_json(root / name)
        parts = {part: entry[part]["fingerprint"] for part in ("evaluation", "export")}
        alone |= _prefixes(list(parts.values()))
        champions[name.split("/")[1], entry["data"]] = _prefixes([*parts.values(), entry["run"]])
    for fingerprints in champions.values():
        whole |= fingerprints
    return whole, alone


def _of_unfinished_runs(root: storage.StoragePath, files: dict[str, tuple[int, float]], now: float) -> set[str]:
    """The first digits of the fingerprints of what runs without a summary made or found."""
    found = set()
    for name, (_, changed) in files.items():
        parts = name.split("/")
        run = parts[1] if len(parts) == 3 else ""
        if parts[0] == "status" and f"summaries/{run}.json" not in files and now - changed < PATIENCE:
            with suppress(InputError, TypeError, KeyError):
                folder = str(storage.read_json(root / name)["manifest"] or "").rpartition("/")[0]
                if fingerprint := _NAME.fullmatch(folder.rpartition("/")[2]):
                    found.add(fingerprint[1])
    return found
