"""Finds people in files: draws them, and writes them as JSON."""

import contextlib
import functools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from openpose import draw, image_file, progress, storage
from openpose.predict import results, table
from openpose.predict.files import Job, coco_ids
from openpose.predict.in_batches import Finder, Found, Picture, in_order
from openpose.predict.predictor import Predictor
from openpose.predict.track import Tracker
from openpose.predict.video import Video, VideoError, VideoWriter, is_video

_OF_ALL = "coco.json", "coco_results.json"  # JSON files about all pictures


@dataclass(frozen=True)
class Entry:
    """A picture of a job: its name in OpenPose's JSON files, and its name and id in COCO's."""

    job: Job
    name: str
    file_name: str
    image_id: int


class Run:
    """Does jobs and collects what happened.

    Args:
        predictor: the network and the decoder.
        batch: pictures of one size that go through the network together.
        threads: that read, decode and write.
        tracking: gives people in films the same id from frame to frame.
        table: kind of the table that is written beside each drawn film; None for none.

    Attributes:
        pictures: number of pictures looked at, with each frame of a video.
        people: number of people found in them.
        failures: why files could not be used.
        warnings: what the user should know about files that could be used.
    """

    def __init__(
        self, predictor: Predictor, batch: int, threads: int, tracking: bool = True, table: table.Kind | None = None
    ) -> None:
        self._predictor, self._batch, self._threads = predictor, batch, threads
        self._tracking, self._table = tracking, table
        self._skeleton = predictor.model.skeleton
        self._coco = results.CocoPeople(self._skeleton)
        self._counted = "people" if self._skeleton.of_people else self._skeleton.category
        self._last_id = self.pictures = self.people = 0
        self.failures: list[str] = []
        self.warnings: list[str] = []

    def do(self, jobs: list[Job]) -> None:
        """Does all jobs, pictures first, and writes COCO's JSON last.

        Raises:
            InputError: the model's maps hold NaN or infinity, or a result cannot be written.
        """
        folder = jobs[0].folder
        of_all = [folder / name for name in _OF_ALL] if folder else []
        for path in of_all:
            storage.remove(path)  # an earlier run's
        with ThreadPoolExecutor(self._threads) as threads:
            if pictures := [job for job in jobs if not is_video(job.source)]:
                self._do_pictures(pictures, threads)
            for job in jobs:
                if is_video(job.source):
                    self._do_video(job, threads)
        if of_all and self.pictures:
            for path, document in zip(of_all, (self._coco.document(), self._coco.results()), strict=True):
                storage.write_text(path, json.dumps(document, separators=(",", ":")) + "\n")

    def summary(self, image: str, out: str) -> str:
        """One line for the user."""
        of = self._skeleton
        what = "people" if of.of_people and self.people != 1 else of.category
        people = f"{self.people} {what} found" if of.of_people else f"{what}: {self.people} found"
        pictures = f" in {self.pictures} pictures" if self.pictures > 1 else ""
        return f"{image}: {people}{pictures}, drawn in {out}"

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
                bar.update(**{self._counted: self.people})

    def _do_video(self, job: Job, threads: ThreadPoolExecutor) -> None:
        try:
            video = Video(job.source)
            with storage.atomic_file(job.drawn) as temporary:
                writer = VideoWriter(temporary, video.rate)
                with contextlib.closing(writer):
                    self._do_frames(job, video, writer, threads)
        except VideoError as error:
            self.failures.append(str(error))
            return
        if video.missing > 1:  # files may count one frame too many
            self.warnings.append(
                f"{job.source}: ends early, after {video.read} of {video.announced} announced pictures; "
                "those are done; check whether the file is complete"
            )

    def _do_frames(self, job: Job, video: Video, writer: VideoWriter, threads: ThreadPoolExecutor) -> None:
        """Finds the people in each frame of the video, and writes the frame with them drawn in."""

        def entries() -> Iterator[Picture[Entry]]:
            for number, image in enumerate(video):
                name = f"{job.name}_{number:012d}"  # as OpenPose names them
                yield Picture(Entry(job, name, name, self._last_id + 1 + number), functools.partial(np.asarray, image))

        def drawn(found: Found[Entry]) -> tuple[Found[Entry], np.ndarray]:
            self._write_json(found)
            return found, self._drawn(found)

        finder, rows = Finder(self._predictor, self._batch, threads, self.failures.append), table.Table(self._skeleton)
        found_in_order = self._followed(finder.find(entries(), lambda found: found), video.rate)
        with progress.bar(video.announced or None, job.source.name, "picture") as bar:
            for found, image in in_order(threads, drawn, found_in_order, 2 * self._batch):
                writer.write(image)
                self._count(found)
                if self._table:
                    rows.add(found.people)
                bar.update(**{self._counted: self.people})
        self._last_id += video.read
        if self._table:
            with storage.atomic_file(job.drawn.with_suffix(f".{self._table}")) as temporary:
                rows.write(self._table, temporary, job.source)

    def _followed(self, frames: Iterator[Found[Entry]], rate: float) -> Iterator[Found[Entry]]:
        """The frames of a film, with the people's ids unless nobody is to be followed."""
        tracker: Tracker | None = None
        for found in frames:
            if self._tracking:
                tracker = tracker or Tracker(rate, found.image.shape[:2])
                found = replace(found, people=tracker.follow(found.people))
            yield found

    def _drawn(self, found: Found[Entry]) -> np.ndarray:
        return draw.skeletons(found.image, found.people, self._skeleton)

    def _write_json(self, found: Found[Entry]) -> None:
        """Writes OpenPose's JSON of one picture; threads call this concurrently."""
        if (folder := found.key.job.folder) is not None:
            text = json.dumps(results.openpose_json(found.people), separators=(",", ":"))
            storage.write_text(folder / "openpose" / f"{found.key.name}_keypoints.json", text + "\n")

    def _count(self, found: Found[Entry]) -> None:
        self._coco.add(found.key.image_id, found.key.file_name, found.image.shape[:2], found.people)
        self.pictures += 1
        self.people += len(found.people)
