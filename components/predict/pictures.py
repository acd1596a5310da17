"""The pictures of a folder, a zip archive or a bucket."""

from pathlib import PurePosixPath

import numpy as np

from openpose import image_file, storage
from openpose.coco.pictures import PictureStore
from openpose.coco.zip_archive import entry_name, files_in, open_archive
from openpose.errors import InputError
from openpose.predict.files import PICTURES

NO_LIMIT = 0  # of a picture's pixels; Pillow has one


class Pictures:
    """Pictures by name; several threads may read at the same time.

    Args:
        place: a folder, a zip archive, or a prefix in a bucket.

    Raises:
        InputError: it does not exist, or the archive cannot be read.
    """

    def __init__(self, place: str) -> None:
        self._place = storage.path(place)
        self._store = PictureStore(self._place)

    def states(self) -> dict[str, list[float]]:
        """Name, size and time (or checksum) of each file that is a picture by its name, in the order of the names.

        Raises:
            InputError: there is none.
        """
        if self._place.suffix.lower() == ".zip":
            with open_archive(self._place) as archive:
                found = {entry_name(entry): [float(entry.file_size), float(entry.CRC)] for entry in files_in(archive)}
        else:
            found = {name: [float(size), time] for name, (size, time) in storage.changes(self._place).items()}
        pictures = {name: found[name] for name in sorted(found) if _is_picture(name)}
        if not pictures:
            others = f"; it has {len(found)} other files, such as {min(found)}" if found else ""
            raise InputError(f"{self._place}: no picture is there (.jpg, .png, …){others}")
        return pictures

    def read(self, name: str) -> np.ndarray:
        """A picture, RGB uint8 [H, W, 3].

        Raises:
            InputError: it is missing, damaged or not a picture.
        """
        try:
            content = self._store.read(name)
        except (OSError, ValueError) as error:
            raise InputError(f"{name}: cannot be read ({error})") from error
        return image_file.decode(content, name, NO_LIMIT)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PICTURES and not storage.is_shadow(name)
