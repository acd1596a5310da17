"""What is held out for validation: whole films where there are several, the end of the only one, else pictures."""

from collections.abc import Callable
from typing import Any

import pytest

from openpose.coco.holdout import choose


def images(names: list[str], **fields: list[Any]) -> list[dict[str, Any]]:
    columns = {"id": list(range(1, len(names) + 1)), "file_name": names, **fields}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


FILM: Callable[[str], list[str]] = lambda name: [f"{name}{number}.png" for number in range(20)]  # noqa: E731


@pytest.mark.parametrize("names", [FILM("img"), FILM("m4s1/"), FILM("")])
def test_the_end_of_one_film(names: list[str]) -> None:
    held, said = choose(images(names), 0.2, 0, "a.json")
    assert held == {17, 18, 19, 20}
    assert "the last 4 of its 20 images" in said


@pytest.mark.parametrize(
    "entries",
    [
        images([name for film in "abcde" for name in FILM(f"{film}/img")]),
        images([name for film in "abcde" for name in FILM(f"film_{film}_")]),
        images([f"{n:x}{n}x.png" for n in range(100)], film=[n // 20 for n in range(100)]),
        images([f"{n:x}{n}x.png" for n in range(100)], video_id=[n // 20 for n in range(100)]),
    ],
)
def test_whole_films(entries: list[dict[str, Any]]) -> None:
    held, said = choose(entries, 0.2, 0, "a.json")
    assert len(held) == 20
    assert {(number - 1) // 20 for number in held} == {(min(held) - 1) // 20}
    assert "all of 1 of its 5 films or folders" in said
    assert len({frozenset(choose(entries, 0.2, seed, "a.json")[0]) for seed in range(10)}) > 1


def test_the_smallest_film_if_each_is_more_than_the_share() -> None:
    held, _ = choose(images(FILM("a/img") + FILM("b/img")[:9]), 0.2, 0, "a.json")
    assert held == set(range(21, 30))


def test_single_pictures_and_versions_of_one() -> None:
    words = [f"{chr(97 + n % 26)}{n}x" for n in range(50)]
    held, said = choose(images([f"{word}.jpg" for word in words]), 0.2, 0, "a.json")
    assert len(held) == 10
    assert "chosen at random" in said
    versions = [f"{word}_jpg.rf.{version}c0ffee.jpg" for word in words for version in "ab"]
    held, _ = choose(images(versions), 0.2, 0, "a.json")
    assert len(held) == 20
    assert {(number - 1) // 2 * 2 + each for number in held for each in (1, 2)} == held, "both versions, or neither"
