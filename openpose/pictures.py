"""A split's pictures, in a folder or in the official zip archive, read without unpacking."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from openpose.errors import InputError


class PictureStore:
    """Reads pictures by their `file_name`.

    Args:
        path: a folder, or a zip archive whose entries lie in a folder of the archive's name (`val2017/a.jpg` in
            `val2017.zip`).

    Raises:
        InputError: it does not exist or is no readable archive.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._archive: zipfile.ZipFile | None = None
        if self.path.suffix == ".zip" and self.path.is_file():
            try:
                self._archive = zipfile.ZipFile(self.path)
            except zipfile.BadZipFile as error:
                raise InputError(f"{self.path}: not a whole zip archive ({error}); fetch it again") from error
        elif not self.path.is_dir():
            raise InputError(f"{self.path}: no such folder of pictures or zip archive")

    def read(self, file_name: str) -> bytes:
        """The bytes of a picture.

        Raises:
            OSError: it is missing or damaged.
            ValueError: its name leads out of the split's folder.
        """
        name = PurePosixPath(file_name)
        if name.is_absolute() or ".." in name.parts:
            raise ValueError(f"its name leads out of {self.path}")
        if self._archive is None:
            return (self.path / name).read_bytes()
        try:
            return self._archive.read(f"{self.path.stem}/{name}")
        except KeyError as error:
            raise FileNotFoundError(file_name) from error
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last one: encrypted
            raise OSError(f"it is damaged in the archive ({error})") from error

    def signature(self) -> dict[str, Any]:
        """What changes when the pictures change: names with checksums (archive) or with sizes (folder)."""
        if self._archive is not None:
            # The directory at an archive's end has a checksum of every picture.
            return {"entries": sorted((entry.filename, entry.CRC) for entry in self._archive.infolist())}
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return {"files": [(path.relative_to(self.path).as_posix(), path.stat().st_size) for path in files]}

    def close(self) -> None:
        """Closes the archive."""
        if self._archive is not None:
            self._archive.close()

    def __enter__(self) -> "PictureStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
