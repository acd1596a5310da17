"""What a run has found so far, on disk: an interrupted run goes on from it, and several runs share the files.

Each run appends a line to `parts/<share>.jsonl` below the output folder for each picture and each frame, and one after
each file that is done. When all shares are done, the last one puts them together: `coco.json`, `coco_results.json`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from openpose import storage
from openpose.errors import InputError
from openpose.predict import results
from openpose.predict.files import Job, coco_ids
from openpose.skeleton import Skeleton

FOLDER = "parts"
OF_ALL = "coco.json", "coco_results.json"  # JSON files about all pictures
Line = dict[str, Any]


@dataclass(frozen=True)
class Share:
    """A run's share of the files.

    Attributes:
        number: of the share, from 1.
        count: of all shares.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The share that is written like 3/8.

        Raises:
            InputError: it is not written so, or there is no such share.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError(f"--share is {text!r}; it must be like 3/8: the third of eight shares of the files")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}-of-{self.count}"

    def part(self, jobs: Sequence[Job]) -> list[Job]:
        """The share's files: every n-th, so that all shares get alike ones."""
        return list(jobs[self.number - 1 :: self.count])


class Part:
    """The lines of a share, in a file that grows.

    Args:
        folder: of all output.
        share: whose lines they are.
        jobs: the share's files.
        about: the model, its settings and the files, as in JSON. Lines about others are dropped.

    Attributes:
        pictures: number of pictures and frames in the files that are done.
        people: number of people found in them.
    """

    def __init__(self, folder: Path, share: Share, jobs: Sequence[Job], about: Line) -> None:
        self._path = folder / FOLDER / f"{share}.jsonl"
        self._first = {"about": about}
        lines = self._earlier()
        drawn = {job.number for job in jobs if job.drawn.exists()}
        self._done = drawn & {line["done"] for line in lines if "done" in line}
        kept = [line for line in lines if line.get("done", line.get("file")) in self._done]
        storage.write_text(self._path, "".join(_text(line) for line in (self._first, *kept)))
        self._file = self._path.open("a", encoding="utf-8")
        found = [line for line in kept if "people" in line]
        self.pictures, self.people = len(found), sum(len(line["people"]) for line in found)

    def _earlier(self) -> list[Line]:
        """The lines of an earlier run; none if it was about something else."""
        if not self._path.exists():
            return []
        first, *lines = list(_read(self._path)) or [{}]
        return lines if first == self._first else []

    def has(self, job: Job) -> bool:
        """Whether an earlier run has done a file, and its drawing is still there."""
        return job.number in self._done

    def add(self, job: Job, frame: int | None, size: tuple[int, int], people: list[dict[str, Any]]) -> None:
        """Adds a picture.

        Args:
            job: its file.
            frame: its number in a film; None for a picture.
            size: height and width, pixels.
            people: found in it, as `results.coco_people` has them.
        """
        self._write({"file": job.number, "frame": frame, "height": size[0], "width": size[1], "people": people})

    def finish(self, job: Job) -> None:
        """Says that a file is done."""
        self._write({"done": job.number})
        self._done.add(job.number)

    def close(self, ended: bool) -> None:
        """Closes the file; `ended` says that the whole share is done. A file that says nothing is removed."""
        if ended:
            self._write({"ended": True})
        self._file.close()
        if not ended and not self._done:
            _remove(self._path)

    def _write(self, line: Line) -> None:
        self._file.write(_text(line))
        self._file.flush()


def put_together(folder: Path, count: int, jobs: Sequence[Job], skeleton: Skeleton) -> bool:
    """Writes COCO's files from all shares, if all of them have ended; returns whether they have.

    Args:
        folder: of all output.
        count: of the shares.
        jobs: all files.
        skeleton: of the people.
    """
    shares = [Share(number, count) for number in range(1, count + 1)]
    parts = [list(_read(folder / FOLDER / f"{share}.jsonl")) for share in shares]
    if not all(lines and "ended" in lines[-1] and lines[0] == parts[0][0] for lines in parts):
        return False
    found = sorted((line for lines in parts for line in lines if "people" in line), key=_order)
    coco = results.CocoPeople(skeleton)
    for line, (image_id, name) in zip(found, _named(found, jobs), strict=True):
        coco.add(image_id, name, (line["height"], line["width"]), line["people"])
    if found:
        for name, document in zip(OF_ALL, (coco.document(), coco.results()), strict=True):
            storage.write_text(folder / name, json.dumps(document, separators=(",", ":")) + "\n")
    if count == 1:  # of several shares each is needed again when one of them is repeated
        _remove(folder / FOLDER / f"{shares[0]}.jsonl")
    return True


def _remove(path: Path) -> None:
    """Removes a part, and the folder with the last one."""
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def _order(line: Line) -> tuple[bool, int, int]:
    """Pictures first, then films, each in the order of the files."""
    frame = line["frame"]
    return frame is not None, line["file"], frame or 0


def _named(found: Sequence[Line], jobs: Sequence[Job]) -> Iterator[tuple[int, str]]:
    """The id and the name of each picture in COCO's files; frames of films are counted on after the pictures."""
    pictures = [job for job in jobs if not job.is_video]
    ids = dict(zip((job.number for job in pictures), coco_ids([job.source.name for job in pictures]), strict=True))
    last = max(ids.values(), default=0)
    for line in found:
        job = jobs[line["file"]]
        if line["frame"] is None:
            yield ids[job.number], job.file_name
        else:
            last += 1
            yield last, job.frame_name(line["frame"])


def _read(path: Path) -> Iterator[Line]:
    """The lines of a part, up to one that was cut off."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for text in file:
                try:
                    yield json.loads(text)
                except ValueError:
                    return


def _text(line: Line) -> str:
    return json.dumps(line, separators=(",", ":")) + "\n"
