"""Whether the annotations of a split are of its pictures as stored, or as EXIF turns them.

A picture on its side tells by its width and height. One that is upside down, mirrored or square does not: the split's
other pictures decide, or else the rule of `predict`, which turns every picture.
"""

import io
import warnings
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from PIL import Image

ORIENTATION = 0x0112  # EXIF's tag
ON_THEIR_SIDE = (5, 6, 7, 8)  # orientations that swap width and height
_MOVED = (2, 3, 4, *ON_THEIR_SIDE)
HEAD = 1 << 16  # first bytes of a file, which hold size and EXIF of nearly every JPEG
_BAD = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, Image.DecompressionBombError)

# What is wrong with a picture is said with its name, by its reader; Pillow's warnings have no name.
warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Follows(StrEnum):
    """What annotations follow."""

    TURNED = "turned"  # the picture as EXIF turns it and viewers show it
    STORED = "stored"  # its pixels as they are stored


def orientation(image: Image.Image) -> int:
    """EXIF's orientation of an opened image, 1 to 8; 1 where EXIF says nothing that can be used."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # EXIF may stand after the pixels, and a search for it would decode them
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except _BAD:
        return 1
    return found if isinstance(found, int) and found in _MOVED else 1


def is_plain(content: bytes) -> bool:
    """Whether a file or its first bytes are a JPEG without EXIF; Pillow takes fifty times as long to see that."""
    return content.startswith(b"\xff\xd8") and b"Exif\0\0" not in content[:HEAD]


def of_file(content: bytes) -> tuple[int, tuple[int, int]] | None:
    """Orientation, and width and height as stored, of a file or its first bytes; None if these do not tell."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return orientation(image), image.size
    except _BAD:
        return None


def follows(moved: int, size: tuple[int, int], expected: tuple[int, int]) -> Follows | None:
    """What the annotations of a picture follow by its size; None if the size does not tell.

    Args:
        moved: EXIF's orientation, not 1.
        size: width and height as stored.
        expected: width and height in the annotations.
    """
    if moved not in ON_THEIR_SIDE or size[0] == size[1]:
        return None
    return Follows.STORED if size == expected else Follows.TURNED if size[::-1] == expected else None


def decide(
    counts: Mapping[str, Counter[Follows | None]], asked: str, looked: Mapping[str, int]
) -> tuple[dict[str, Follows], dict[str, str]]:
    """Decides for each split what the annotations of pictures follow whose size does not tell.

    Args:
        counts: for each split how many of its pictures with an orientation tell what; None counts those that do not.
        asked: `auto`, or what is to be decided.
        looked: at how many pictures of a split, where these are not all.

    Returns:
        The decision for each split, and a sentence on each split that has such pictures.
    """
    decided, said = {}, {}
    for split, found in counts.items():
        decided[split], why = _decision(found, sum(counts.values(), Counter()), asked)
        if found[None]:
            how = "as EXIF turns them" if decided[split] is Follows.TURNED else "as they are stored"
            part, others = "", ""
            if split in looked:
                part = f"of the first {looked[split]:,} "
                others = "; such pictures among the others are taken the same way"
            said[split] = (
                f"{found[None]:,} {part}pictures of {split} are turned by EXIF so that their size does not tell what "
                f"the annotations follow (180°, mirrored or square): they are taken {how}, {why}{others}"
            )
    return decided, said


def _decision(own: Counter[Follows | None], every: Counter[Follows | None], asked: str) -> tuple[Follows, str]:
    if asked != "auto":
        return Follows(asked), "as the parameter exif says"
    for counted, whose in ((own, "the split's"), (every, "the data set's")):
        turned, stored = counted[Follows.TURNED], counted[Follows.STORED]
        if turned != stored:
            most = Follows.TURNED if turned > stored else Follows.STORED
            return most, f"as {max(turned, stored):,} of {whose} other pictures are; the parameter exif overrules it"
    return Follows.TURNED, "as predict takes pictures; the parameter exif overrules it"


def told(found: tuple[int, tuple[int, int]] | None, expected: tuple[int, int]) -> list[Follows | None]:
    """What a picture tells, in a list; empty if EXIF does not turn it, or it has another size than its annotations.

    Args:
        found: orientation and stored size, as `of_file` finds them.
        expected: width and height in the annotations.
    """
    if found is None or found[0] == 1:
        return []
    moved, size = found
    fits = (size, size[::-1]) if moved in ON_THEIR_SIDE else (size,)
    return [follows(moved, size, expected)] if expected in fits else []
