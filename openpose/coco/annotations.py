"""Makes pictures with their people from the entries of a COCO keypoint file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpose.coco import person, segmentations
from openpose.coco.fates import Correction, Fate, NotMain, Tally
from openpose.coco.person import Form, Person
from openpose.coco.values import shown, whole_number
from openpose.errors import InputError
from openpose.records.picture import MAIN_MIN_AREA, Picture, box_around, main_persons
from openpose.skeleton import Skeleton

_MOST_PIXELS = 10**9  # of a picture; the loss mask takes a byte for each
_LOOSE, _LOOSE_PIXELS = 0.25, 10  # a keypoint is outside a box if it is farther away than this share of its longer side
_BEYOND, _BEYOND_PIXELS = 0.02, 2  # the same for the picture


@dataclass(frozen=True)
class People:
    """The checked annotations of an image; P that are used.

    Attributes:
        ids: int64 [P].
        triples: float64 [P, S, 3], x, y and v of each keypoint of the skeleton.
        bbox: float64 [P, 4], x, y, width, height.
        area: float64 [P].
        crowd: bool [P].
        segmentations: P entries: polygons, RLE, or None.
    """

    ids: np.ndarray
    triples: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    crowd: np.ndarray
    segmentations: tuple[Any, ...]


def make_picture(
    image: dict[str, Any],
    people: Sequence[dict[str, Any]],
    skeleton: Skeleton,
    form: Form,
    others: Sequence[dict[str, Any]] = (),
    tally: Tally | None = None,
) -> Picture:
    """Makes a picture from the JSON entries of an image and of its people.

    Args:
        image: entry of `images`.
        people: entries of `annotations`.
        skeleton: of the keypoints.
        form: of the entries.
        others: entries of `annotations` of other categories that must not be taught as background.
        tally: counts what became of the annotations.

    Raises:
        InputError: a field is missing or wrong; the message begins with the file's name.
    """
    tally = tally or Tally()
    number, (width, height) = image_id(image, form.path), _size(image, form.path)
    if not isinstance(image.get("file_name"), str) or not image["file_name"]:
        raise InputError(f"{form.path}: image {number} has no `file_name`; write the name of its picture there")
    checked = check(people, (width, height), skeleton, form, others, tally)
    visibility = checked.triples[..., 2].astype(np.uint8)
    bbox, area = checked.bbox.astype(np.float32), checked.area.astype(np.float32)
    picture = Picture(
        id=number,
        file_name=image["file_name"],
        width=width,
        height=height,
        ids=checked.ids,
        keypoints=checked.triples[..., :2].astype(np.float32),
        visibility=visibility,
        bbox=bbox,
        area=area,
        crowd=checked.crowd,
        main=main_persons((visibility >= 1).sum(1), bbox, area, checked.crowd, skeleton),
        segmentations=checked.segmentations,
    )
    _count_not_main(picture, skeleton, tally)
    return picture


def check(
    people: Sequence[dict[str, Any]],
    size: tuple[int, int],
    skeleton: Skeleton,
    form: Form,
    others: Sequence[dict[str, Any]],
    tally: Tally,
) -> People:
    """Checks the annotations of an image; the arguments are those of `make_picture`.

    Args:
        size: width and height of the image.

    Raises:
        InputError: a field is missing or wrong; the message begins with the file's name.
    """
    parts, corrections = len(skeleton.source_parts), list[Correction]()
    checked = [person.checked(entry, size[::-1], parts, form, corrections) for entry in people]
    checked += [person.checked(_without_keypoints(each), size[::-1], parts, form, corrections) for each in others]
    triples = np.array([each.keypoints for each in checked], np.float64).reshape(-1, parts, 3)
    if form.order is not None:
        triples = triples[:, list(form.order)]
    fates = _fates(checked, triples, len(people))
    kept = [number for number, fate in enumerate(fates) if fate not in (Fate.EMPTY, Fate.REPEATED)]
    if len(kept) < len(checked):
        checked, triples = [checked[number] for number in kept], triples[kept]
    _check_shares(checked, triples, size, form.path)
    bbox, area = _extents(checked, triples, size, skeleton, corrections)
    tally.fates.update(fates)
    tally.corrections.update(corrections)
    return People(
        ids=np.array([each.id for each in checked], np.int64),
        triples=triples,
        bbox=bbox,
        area=area,
        crowd=np.array([each.crowd for each in checked], bool),
        segmentations=tuple(each.segmentation for each in checked),
    )


def image_id(image: dict[str, Any], path: str) -> int:
    """The id of an entry of `images`.

    Raises:
        InputError: it is not a whole number.
    """
    return whole_number(image, "id", path, f"image {shown(image.get('file_name'))}")


def _size(image: dict[str, Any], path: str) -> tuple[int, int]:
    what = f"image {image['id']}"
    width, height = (whole_number(image, field, path, what, "write its pixels") for field in ("width", "height"))
    if width < 1 or height < 1 or width * height > _MOST_PIXELS:
        raise InputError(
            f"{path}: image {image['id']} is {width}×{height} pixels; `width` and `height` must be positive, and the "
            f"picture have {_MOST_PIXELS:,} pixels at most"
        )
    return width, height


def _without_keypoints(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "keypoints": None}


def _fates(people: Sequence[Person], triples: np.ndarray, own: int) -> list[Fate]:
    """What becomes of each annotation; the first `own` are of the trained category."""
    labelled: Any = (triples[..., 2] >= 1).any(1).tolist()
    written: Any = None
    fates, seen = list[Fate](), set[tuple[Any, ...]]()
    for number, each in enumerate(people):
        if each.crowd:
            fates.append(Fate.LABELLED_CROWD if labelled[number] else Fate.CROWD)
        elif labelled[number]:
            same = (triples[number].tobytes(), each.area, *(each.bbox or ()))
            fates.append(Fate.REPEATED if same in seen else Fate.LABELLED)
            seen.add(same)
        elif each.bbox is None and each.segmentation is None:
            fates.append(Fate.EMPTY)
        elif number >= own:
            fates.append(Fate.SAME_KIND)
        else:
            if written is None:
                written = (triples[..., :2] != 0).any((1, 2)).tolist()
            fates.append(Fate.ALL_V_0 if written[number] else Fate.UNLABELLED)
    return fates


def _check_shares(people: Sequence[Person], triples: np.ndarray, size: tuple[int, int], path: str) -> None:
    """Raises InputError when somebody's keypoints are shares of the picture's size instead of pixels."""
    # v is 2 at most, so that this looks at hardly anybody whose keypoints are pixels.
    if min(size) < 8 or not any(0 < max(each.keypoints) <= 2 for each in people):
        return
    labelled = triples[..., 2] >= 1
    xy = np.where(labelled[..., None], triples[..., :2], 0)
    within = (labelled.sum(1) > 1) & (xy >= 0).all((1, 2)) & (xy <= 1).all((1, 2)) & (xy % 1 > 0).any((1, 2))
    if within.any():
        raise InputError(
            f"{path}: `keypoints` of annotation {people[int(within.argmax())].id} are between 0 and 1, as shares of "
            f"the picture's size; multiply each x by `width` and each y by `height` (here {size[0]} and {size[1]})"
        )


def _extents(
    people: Sequence[Person],
    triples: np.ndarray,
    size: tuple[int, int],
    skeleton: Skeleton,
    corrections: list[Correction],
) -> tuple[np.ndarray, np.ndarray]:
    """The box [P, 4] and area [P] of each person; what is missing or cannot be right is taken from the keypoints."""
    given = np.array([each.bbox or (0, 0, 0, 0) for each in people], np.float64).reshape(-1, 4)
    labelled, xy = triples[..., 2] >= 1, triples[..., :2]
    low, high = given[:, :2], given[:, :2] + given[:, 2:]
    missing = np.array([each.bbox is None for each in people], bool)
    misfit = ~missing & _do_not_hold(low, high, xy, labelled)
    bbox = given.copy()
    for number in np.flatnonzero((missing & labelled.any(1)) | misfit).tolist():
        bbox[number] = box_around(xy[number][labelled[number]], *size)
        corrections.append(Correction.NO_BOX if missing[number] else Correction.MISFIT)
    for number in np.flatnonzero(missing & ~labelled.any(1)).tolist():
        bbox[number] = _box_of_polygons(people[number].segmentation)
    limit = _BEYOND * max(size) + _BEYOND_PIXELS
    leave = (bbox[:, :2] < -limit).any(1) | (bbox[:, :2] + bbox[:, 2:] > np.add(size, limit)).any(1)
    leave |= (labelled[..., None] & ((xy < -limit) | (xy > np.add(size, limit)))).any((1, 2))
    corrections += [Correction.OUTSIDE] * int(leave.sum())
    return bbox, _areas(people, given, bbox, misfit, size, skeleton, corrections)


def _do_not_hold(low: np.ndarray, high: np.ndarray, xy: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """bool [P]: boxes with more than half of the labelled keypoints clearly outside, which cannot be this person's."""
    slack = (_LOOSE * (high - low).max(1, initial=0) + _LOOSE_PIXELS)[:, None, None]
    outside = ((xy < low[:, None] - slack) | (xy > high[:, None] + slack)).any(-1) & labelled
    nothing = (high == low).all(1) & (np.where(labelled[..., None], xy - low[:, None], 0) != 0).any((1, 2))
    return (2 * outside.sum(1) > labelled.sum(1)) | (nothing & (labelled.sum(1) > 1))


def _box_of_polygons(segmentation: Any) -> np.ndarray:
    """x, y, width, height around polygons; all zeros for run lengths."""
    if not isinstance(segmentation, list):
        return np.zeros(4)
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in segmentation])
    return np.concatenate([points.min(0), np.ptp(points, 0)])


def _areas(
    people: Sequence[Person],
    given: np.ndarray,
    bbox: np.ndarray,
    misfit: np.ndarray,
    size: tuple[int, int],
    skeleton: Skeleton,
    corrections: list[Correction],
) -> np.ndarray:
    area = np.array([np.nan if each.area is None else each.area for each in people], np.float64)
    of_box = bbox[:, 2] * bbox[:, 3]
    of_given = given[:, 2] * given[:, 3]
    missing, unusable = np.isnan(area), (area <= 1) & (of_box > 1)
    corrections += [Correction.NO_AREA] * int(missing.sum()) + [Correction.AREA] * int(unusable.sum())
    of_wrong_box = misfit & (np.abs(area - of_given) <= 0.01 * of_given)
    area = np.where(missing | unusable | of_wrong_box, of_box, area)
    for number in np.flatnonzero(unusable & ~misfit).tolist():
        area[number] = segmentations.area(people[number].segmentation) or of_box[number]
    return area if skeleton.of_people else _area_at_least(area, bbox, max(size))


_POINT = 0.2  # of the picture's longer side: the size of an animal that has no extent


def _area_at_least(area: np.ndarray, bbox: np.ndarray, picture: int) -> np.ndarray:
    """The areas, with a substitute for 0, where OKS is undefined: of animals that are one point, or points in a line.

    A line counts as a square of half its length, a point as a square of a fifth of the picture.
    """
    length = bbox[:, 2:].max(1, initial=0) / 2
    return np.where(area > 0, area, np.where(length >= 1, length, _POINT * picture) ** 2)


def _count_not_main(picture: Picture, skeleton: Skeleton, tally: Tally) -> None:
    others = picture.labelled & ~picture.main
    if not others.any():
        return
    few = (picture.visibility >= 1).sum(1) < skeleton.main_keypoints
    small = (picture.area < MAIN_MIN_AREA) | (picture.bbox[:, 2:] < 1).any(1) if skeleton.of_people else few & ~few
    for kind, which in ((NotMain.FEW, few), (NotMain.SMALL, small & ~few), (NotMain.NEAR, ~small & ~few)):
        if count := int((others & which).sum()):
            tally.not_main[kind] += count
