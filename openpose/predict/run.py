"""Finds people in files: draws them, and writes them as JSON."""

import contextlib
import functools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpose import draw, image_file, progress, storage
from openpose.predict import parts, results, table
from openpose.predict.files import Job
from openpose.predict.in_batches import Finder, Found, Picture, in_order
from openpose.predict.parts import Part, Share
from openpose.predict.predictor import Predictor
from openpose.predict.track import Tracker
from openpose.predict.video import Video, VideoError, VideoWriter


@dataclass(frozen=True)
class Entry:
    """A picture of a job: its file, or one picture of a film, by its number."""

    job: Job
    frame: int | None = None

    @property
    def name(self) -> str:
        """Its name in OpenPose's JSON files."""
        return self.job.name if self.frame is None else self.job.frame_name(self.frame)


class Run:
    """Does jobs and collects what happened.

    Args:
        predictor: the network and the decoder.
        batch: pictures of one size that go through the network together.
        threads: that read, decode and write.
        tracking: gives people in films the same id from frame to frame.
        table: kind of the table that is written beside each drawn film; None for none.
        share: of the files, that this run does.

    Attributes:
        pictures: number of pictures looked at, with each frame of a video, also by an earlier run that this one
            continues.
        people: number of people found in them.
        failures: why files could not be used.
        warnings: what the user should know about files that could be used.
    """

    def __init__(
        self,
        predictor: Predictor,
        batch: int,
        threads: int,
        tracking: bool = True,
        table: table.Kind | None = None,
        share: Share = Share(),
    ) -> None:
        self._predictor, self._batch, self._threads = predictor, batch, threads
        self._tracking, self._table, self._share = tracking, table, share
        self._skeleton = predictor.model.skeleton
        self._part: Part | None = None
        self._counted = "people" if self._skeleton.of_people else self._skeleton.category
        self.pictures = self.people = 0
        self.failures: list[str] = []
        self.warnings: list[str] = []

    def do(self, jobs: list[Job], about: dict[str, Any]) -> None:
        """Does this run's share of the jobs, pictures first, and writes COCO's JSON last if all shares are done.

        Args:
            jobs: all of them.
            about: what the results depend on; those of an earlier run about the same are not made again.

        Raises:
            InputError: the model's maps hold NaN or infinity, or a result cannot be written.
        """
        folder, todo = jobs[0].folder, self._share.part(jobs)
        if folder is None:
            self._do(todo)
            return
        for name in parts.OF_ALL:
            storage.remove(folder / name)  # an earlier run's
        self._part = Part(folder, self._share, todo, about)
        self.pictures, self.people = self._part.pictures, self._part.people
        ended = False
        try:
            self._do([job for job in todo if not self._part.has(job)])
            ended = True
        finally:
            self._part.close(ended)
        if not parts.put_together(folder, self._share.count, jobs, self._skeleton):
            self.warnings.append(
                f"other shares are not done yet, or with another model, other flags or files; when all are done alike, "
                f"the last one writes {' and '.join(parts.OF_ALL)}"
            )

    def _do(self, jobs: list[Job]) -> None:
        with ThreadPoolExecutor(self._threads) as threads:
            if pictures := [job for job in jobs if not job.is_video]:
                self._do_pictures(pictures, threads)
            for job in jobs:
                if job.is_video:
                    self._do_video(job, threads)

    def summary(self, image: str, out: str) -> str:
        """One line for the user."""
        of = self._skeleton
        what = "people" if of.of_people and self.people != 1 else of.category
        people = f"{self.people} {what} found" if of.of_people else f"{what}: {self.people} found"
        pictures = f" in {self.pictures} pictures" if self.pictures > 1 else ""
        return f"{image}: {people}{pictures}, drawn in {out}"

    def _do_pictures(self, jobs: list[Job], threads: ThreadPoolExecutor) -> None:
        pictures = (Picture(Entry(job), functools.partial(image_file.read, job.source)) for job in jobs)

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
                self._finish(found.key.job)
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
        self._finish(job)
        if video.missing > 1:  # files may count one frame too many
            self.warnings.append(
                f"{job.source}: ends early, after {video.read} of {video.announced} announced pictures; "
                "those are done; check whether the file is complete"
            )

    def _do_frames(self, job: Job, video: Video, writer: VideoWriter, threads: ThreadPoolExecutor) -> None:
        """Finds the people in each frame of the video, and writes the frame with them drawn in."""

        def entries() -> Iterator[Picture[Entry]]:
            for number, image in enumerate(video):
                yield Picture(Entry(job, number), functools.partial(np.asarray, image))

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
        if self._part:
            people = results.coco_people(found.people, self._skeleton)
            self._part.add(found.key.job, found.key.frame, found.image.shape[:2], people)
        self.pictures += 1
        self.people += len(found.people)

    def _finish(self, job: Job) -> None:
        if self._part:
            self._part.finish(job)
