"""Any document and any bytes: every annotation has a fate, or one error names the entry; no traceback, no hang.

A document is a good one with fields that are missing, of another type or odd, entries that are shuffled or repeated.
"""

import io
import json
import random
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from components.coco_download.coco_download import coco_download
from openpose.coco import index as coco_index
from openpose.coco import json_stream, truth, zip_archive
from openpose.coco.fates import Fate
from openpose.coco.pictures import PictureStore
from openpose.errors import InputError
from openpose.evaluation import score_file
from openpose.records import schema
from openpose.records.parameters import RecordParameters
from openpose.records.write import write_shards
from openpose.skeleton import OPENPOSE18
from tests import labelled
from tests.records.written import Memory, encoded

pytestmark = pytest.mark.slow
MISSING = object()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 4),
    st.sampled_from([0.0, 1.0, -0.0, 0.5, 1e300, -1e9, float("nan"), float("inf"), 2**63, -(2**63), 2**62, 10**400]),
    st.floats(-200, 200),
    st.sampled_from(
        ["", "0", "1", "1.0", " 1", "person", "a.jpg", "../a.jpg", "a\\b.jpg", "\0", "\ud800", "Tür.jpg", "x" * 300]
    ),
)
ODD = st.one_of(
    st.just(MISSING),
    SCALARS,
    st.lists(SCALARS, max_size=5),
    st.lists(st.floats(-9, 99), min_size=4, max_size=4),
    st.lists(st.lists(SCALARS, max_size=3), max_size=3),
    st.lists(st.sampled_from([0, 0.5, 1, 2, 30, 3, None]), min_size=51, max_size=51),
    st.dictionaries(
        st.sampled_from(["size", "counts", "x"]), st.one_of(SCALARS, st.lists(st.integers(-1, 90))), max_size=3
    ),
)
FIELDS = {
    "images": ("id", "file_name", "width", "height", "license"),
    "annotations": ("id", "image_id", "category_id", "keypoints", "bbox", "area", "iscrowd", "segmentation", "score"),
    "categories": ("id", "name", "keypoints", "skeleton", "supercategory"),
}


TRAIN = "annotations/person_keypoints_train2017.json"
RESULT = ("image_id", "category_id", "keypoints", "score")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    people = [labelled.person(id=n, image_id=1 + n % 2) for n in range(draw(st.integers(0, 4)))]
    document = labelled.document(people, ("a.jpg", "b.jpg"))
    if draw(st.booleans()):
        document["categories"].append({"id": 2, "name": draw(st.sampled_from(["people", "dog", "person"]))})
        people and people[0].update(category_id=2)
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(list(FIELDS)))
        if not document[kind]:
            continue
        entry, field, value = draw(st.sampled_from(document[kind])), draw(st.sampled_from(FIELDS[kind])), draw(ODD)
        entry.pop(field, None) if value is MISSING else entry.update({field: value})
    for kind in FIELDS:
        if draw(st.integers(0, 9)) == 0:
            document[kind] += document[kind][:1]
        document[kind] = draw(st.permutations(document[kind]))
    if draw(st.integers(0, 30)) == 0:
        document[draw(st.sampled_from(list(FIELDS)))] = draw(ODD.filter(lambda value: value is not MISSING))
    return {name: document[name] for name in draw(st.permutations(list(document)))}


def check_message(error: InputError, name: str) -> None:
    assert str(error).startswith(f"{name}: "), error
    assert "\n" not in str(error)
    assert len(str(error)) < 2000


MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(documents())
def test_index_and_records(document: dict[str, Any]) -> None:
    content = json.dumps(document).encode()
    pictures = Memory({"a.jpg": encoded(), "b.jpg": encoded()})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            described = coco_index.index(
                lambda: io.BytesIO(content),
                labelled.NAME,
                folder,
                OPENPOSE18,
                {"train": 1.0},
                pictures.size,
                measure=lambda _: (80, 60),
            )["train"]
        except InputError as error:
            check_message(error, labelled.NAME)
            return
        assert sum(described.tally.fates.values()) == len(document["annotations"])
        split = coco_index.Split(folder / described.people, folder / described.index)
        read = [schema.to_picture(example, OPENPOSE18) for example in split.read(0, len(split))]
        assert sum(picture.labelled.sum() for picture in read) == described.tally.fates[Fate.LABELLED]
        lost = sum(described.tally.fates[fate] for fate in (Fate.OTHER, Fate.EMPTY, Fate.REPEATED))
        assert sum(len(picture.ids) for picture in read) == len(document["annotations"]) - lost
        not_main = sum(described.tally.not_main.values())
        assert described.counts["main_persons"] + not_main == described.counts["people_with_keypoints"]
        shards = write_shards(split, pictures, folder / "records", "train", RecordParameters(max_bad_share=1))
        assert sum(shard.images + len(shard.bad_images) for shard in shards) == len(document["images"])


@MANY
@given(
    documents(),
    st.lists(st.dictionaries(st.sampled_from(["image_id", "category_id", "keypoints", "score"]), ODD), max_size=2),
)
def test_score(document: dict[str, Any], odd: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place, found = Path(name) / "truth.json", Path(name) / "found.json"
        place.write_text(json.dumps(document))
        plain = {"image_id": 1, "category_id": 1, "keypoints": labelled.person()["keypoints"], "score": 0.5}
        changed = [{key: value for key, value in (plain | each).items() if value is not MISSING} for each in [{}, *odd]]
        found.write_text(json.dumps(changed))
        try:
            read = truth.read(str(place))
        except InputError as error:
            check_message(error, str(place))
            assert score_file.main(["--truth", str(place), "--detections", str(found)]) == 1
            return
        assert sum(read.tally.fates.values()) == len(document["annotations"])
        assert score_file.main(["--truth", str(place), "--detections", str(found)]) in (0, 1)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents())
def test_data_step(document: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        (data / "annotations").mkdir(parents=True)
        for split, content in (("train", document), ("val", labelled.document([labelled.person()]))):
            (data / f"{split}2017").mkdir()
            for file in ("a.jpg", "b.jpg"):
                Image.new("RGB", (80, 60)).save(data / f"{split}2017" / file)
            (data / f"annotations/person_keypoints_{split}2017.json").write_text(json.dumps(content))
        try:
            manifest = coco_download(str(data), f"{name}/root")
        except InputError as error:
            check_message(error, f"{data}/{'train2017' if 'are missing' in str(error) else TRAIN}")
            return
        annotations = manifest.splits["train"].annotations
        assert annotations is not None
        assert sum(annotations.values()) == len(document["annotations"])
        page = Path(manifest.report).read_text()
        assert all(f"{words.split(':')[0]}" in page for words in annotations)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with a few changed, cut out, put in, or doubled."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(changed) + 1), rng.choice((1, 1, 2, 8, 40))
        piece = rng.choice(
            (rng.randbytes(length), b"", b'"', b"{", b"[[[[", b"NaN", b"\xff" * length, bytes(length), b"9" * 30)
        )
        kind = rng.randrange(4)
        if kind == 0:
            changed[at : at + len(piece)] = piece
        elif kind == 1:
            changed[at : at + length] = b""
        elif kind == 2:
            changed[at:at] = piece
        else:
            changed = changed[:at] if rng.random() < 0.2 else changed + changed[at : at + length]
        if not changed:
            changed = bytearray(b" ")
    return bytes(changed)


def fuzz(work: Callable[[bytes], None], content: bytes, count: int) -> None:
    rng = random.Random(5)
    for number in range(count):
        changed, start = damaged(content, rng), time.monotonic()
        try:
            with suppress(InputError):
                work(changed)
        except Exception as error:
            raise AssertionError(f"input {number}: {changed!r}") from error
        assert time.monotonic() - start < 10, changed


def test_any_bytes_as_json(tmp_path: Path) -> None:
    content = json.dumps(labelled.document([labelled.person(segmentation={"size": [60, 80], "counts": "0"})])).encode()

    def work(changed: bytes) -> None:
        for field in ("categories", "images", "annotations"):
            assert all(
                isinstance(each, dict) for each in json_stream.items(lambda: io.BytesIO(changed), field, "a.json")
            )
        coco_index.index(lambda: io.BytesIO(changed), "a.json", tmp_path, OPENPOSE18, {"train": 1.0}, len)

    fuzz(work, content, 5_000)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_any_bytes_as_archive(tmp_path: Path, compression: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name in ("a/a.jpg", "a/ü.jpg", "__MACOSX/a/._a.jpg"):
            archive.writestr(name, bytes(40))
    place, out = tmp_path / "a.zip", tmp_path / "a.out"

    def work(changed: bytes) -> None:
        place.write_bytes(changed)
        with PictureStore(place) as store:
            store.signature()
            for name in ("a.jpg", "ü.jpg", "b.jpg"):
                store.size(name)
                store.alike(name)
                for read in (store.read, lambda name: store.head(name, 9)):
                    with suppress(OSError, ValueError):
                        read(name)
        try:
            zip_archive.unpack(place, out)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    fuzz(work, made.getvalue(), 2_500)
