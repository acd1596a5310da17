"""Which files to look at, and where their results go."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from openpose import image_file, storage
from openpose.errors import InputError
from openpose.predict.video import VIDEOS, is_video

PICTURES = (".bmp", ".gif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_DRAWN = ".jpg"  # suffix of a drawn picture whose source has a format that cannot be written
_DRAWN_VIDEO = ".mp4"


def find(image: str) -> list[Path]:
    """The files that a path, a folder or a pattern (`photos/*.jpg`, `**` for all folders below) stands for, sorted.

    From a folder or a pattern it takes the files with a suffix of pictures or videos; a single file may have any name.

    Raises:
        InputError: no such file exists.
    """
    path = Path(image)
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.is_file() and not storage.is_shadow(file.name))
        return _usable(inside, f"{image}: no picture or video in this folder")
    if path.exists():
        return [path]
    if not glob.has_magic(image):
        raise InputError(f"{image}: no such picture, video or folder")
    matches = sorted(Path(name) for name in _matches(image))
    found = [file for file in matches if file.is_file() and not storage.is_shadow(file.name)]
    return _usable(found, f"{image}: no picture or video matches")


def _matches(pattern: str) -> list[str]:
    """The paths that match a pattern; a folder that exists stands for itself, also one named `team[a]`."""
    folder = next(parent for parent in Path(pattern).parents if parent.exists())
    rest = os.path.relpath(pattern, folder)
    within = glob.glob(os.path.join(glob.escape(str(folder)), rest), recursive=True)
    return within or glob.glob(pattern, recursive=True)


def _usable(paths: list[Path], nothing: str) -> list[Path]:
    usable = [path for path in paths if path.suffix.lower() in PICTURES + VIDEOS]
    if not usable:
        others = f"; it has {len(paths)} other files, such as {paths[0].name}" if paths else ""
        raise InputError(f"{nothing} (.jpg, .png, .mp4, …){others}")
    return usable


@dataclass(frozen=True)
class Job:
    """A file and where its results go.

    Attributes:
        source: the picture or video.
        file_name: its path relative to the folder that holds all sources.
        name: stem of its results' names, relative to the output folder.
        drawn: file of the picture or video with skeletons.
        folder: of the JSON files, or None to write none.
        number: of the file among all.
    """

    source: Path
    file_name: str
    name: str
    drawn: Path
    folder: Path | None
    number: int = 0

    @property
    def is_video(self) -> bool:
        """Whether it is a film."""
        return is_video(self.source)

    def frame_name(self, number: int) -> str:
        """The name of a film's picture, as OpenPose names them."""
        return f"{self.name}_{number:012d}"


def plan(sources: list[Path], out: Path) -> list[Job]:
    """Plans the results of each file in the folder `out`; a single file may have the drawn file `out` instead.

    Raises:
        InputError: `out` is one file for several sources, has a suffix that cannot be written, or a drawn picture
            would replace a source.
    """
    if _is_drawn_file(sources, out):
        jobs = [Job(sources[0], sources[0].name, sources[0].stem, out, None)]
    else:
        jobs = [
            Job(source, path, name, out / _drawn_name(name, source), out, number)
            for number, (source, path, name) in enumerate(_named(sources))
        ]
    originals = {source.resolve() for source in sources}
    for job in jobs:
        if job.drawn.resolve() in originals:
            raise InputError(f"{job.drawn}: the drawn picture would replace the picture itself; give another --out")
    return jobs


def coco_ids(names: Sequence[str]) -> list[int]:
    """COCO's image ids: the numbers in the files' names if each name is a different number, or else 1, 2, 3, …"""
    stems = [PurePath(name).stem for name in names]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len({int(stem) for stem in stems}) == len(stems):
        return [int(stem) for stem in stems]
    return list(range(1, len(names) + 1))


def _is_drawn_file(sources: list[Path], out: Path) -> bool:
    if out.is_dir() or not out.suffix:
        return False
    if len(sources) > 1:
        if out.suffix.lower() in PICTURES + VIDEOS:
            raise InputError(f"--out {out} is one file, but --image has {len(sources)}; give a folder")
        return False
    if not is_video(sources[0]):
        image_file.format_of(out)
    elif out.suffix.lower() != _DRAWN_VIDEO:
        raise InputError(f"{out}: a video cannot be written as {out.suffix}; use {_DRAWN_VIDEO} or a folder")
    return True


def _drawn_name(name: str, source: Path) -> str:
    suffix = source.suffix
    if is_video(source):
        suffix = _DRAWN_VIDEO
    elif not image_file.can_write(source):
        suffix = _DRAWN
    return name if name.endswith(suffix) else name + suffix


def _named(sources: list[Path]) -> Iterator[tuple[Path, str, str]]:
    """Yields each file, its path relative to the common folder, and that path without suffix, if this is unique."""
    top = Path(os.path.commonpath([source.absolute().parent for source in sources]))
    paths = [source.absolute().relative_to(top) for source in sources]
    count = Counter(path.with_suffix("") for path in paths)
    for source, path in zip(sources, paths, strict=True):
        yield source, str(path), str(path if count[path.with_suffix("")] > 1 else path.with_suffix(""))
