"""Dataclasses come back from JSON as they went in; a wrong document is refused by the name of its field."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest

from openpose.errors import InputError
from openpose.storage import from_json, to_json
from openpose.training.manifest import RunInputs
from openpose.training.parameters import TrainParameters


@dataclass(frozen=True)
class Shard:
    name: str
    sizes: tuple[int, int]
    note: str | None = None


@dataclass(frozen=True)
class Document:
    FORMER_NAMES: ClassVar[dict[str, str]] = {"rate": "learning_rate"}
    shards: list[Shard]
    counts: dict[str, int]
    learning_rate: float
    dense: bool = False
    names: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    order: Literal["rgb", "bgr"] = "rgb"

    def __post_init__(self) -> None:
        if self.learning_rate < 0:
            raise InputError("learning_rate is below 0")


DOCUMENT = Document([Shard("a", (1, 2)), Shard("b", (3, 4), "odd")], {"images": 7}, 0.5, True, ("x",), {"any": [1]})
PLAIN: dict[str, Any] = {"shards": [], "counts": {}, "learning_rate": 1}


def test_round_trip() -> None:
    assert from_json(Document, json.loads(json.dumps(to_json(DOCUMENT)))) == DOCUMENT


def test_batch_of_an_older_run_is_its_batch_size() -> None:
    inputs = from_json(RunInputs, {"records": ["a", "b"], "parameters": {"model": "lightweight", "batch": 6}})
    assert inputs.parameters == TrainParameters(model="lightweight", batch_size=6)


def test_missing_fields_have_defaults_and_former_and_unknown_names_are_understood() -> None:
    document = {"shards": [], "counts": {}, "rate": 1, "from a newer version": 3}
    assert from_json(Document, document) == Document([], {}, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": None}, "`counts` is None, but an object is needed"),
        ({"counts": {"images": "7"}}, "`counts.images` is '7', but int is needed"),
        ({"counts": {"images": True}}, "`counts.images` is True, but int is needed"),
        ({"counts": {"images": 1.5}}, "`counts.images` is 1.5, but int is needed"),
        ({"shards": {}}, "`shards` is {}, but a list is needed"),
        ({"shards": [3]}, "`shards[0]` is 3, but an object is needed"),
        ({"shards": [{"name": "a"}]}, "`shards[0].sizes` is missing"),
        ({"shards": [{"name": "a", "sizes": [1]}]}, "`shards[0].sizes` is [1], but a list of 2 is needed"),
        ({"shards": [{"name": "a", "sizes": [1, 2], "note": 5}]}, "`shards[0].note` is 5, but str is needed"),
        ({"learning_rate": "x" * 100}, f"`learning_rate` is '{'x' * 79}…, but float is needed"),
        ({"learning_rate": -1.0}, "learning_rate is below 0"),
        ({"order": "gbr"}, "`order` is 'gbr', but one of rgb, bgr is needed"),
        ({"dense": 1}, "`dense` is 1, but bool is needed"),
    ],
)
def test_wrong_field_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_json(Document, PLAIN | changes)
    assert str(caught.value) == message
