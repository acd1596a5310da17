"""What a model's file says about its network, so that a program needs only the file."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEIGHT = 368  # pixels; of the pictures that published networks were trained on
_ENTRY = "openpose.json"


@dataclass(frozen=True)
class Facts:
    """What a file says about its network.

    Attributes:
        pixels: the channel order that it takes, `rgb` or `bgr`; "" when the file does not say.
        skeleton: of its maps, as `Skeleton.text` gives it: a name, or JSON; "" when the file does not say.
        height: of the pictures that it was trained on, pixels; None when the file does not say.
        people: of the people that it returns, as `people_graph.facts` gives it; "" when it returns maps.
    """

    pixels: str = ""
    skeleton: str = ""
    height: int | None = None
    people: str = ""

    def texts(self) -> dict[str, str]:
        """The known facts by name, as every format can hold them."""
        named = {
            "pixels": self.pixels,
            "skeleton": self.skeleton,
            "height": str(self.height or ""),
            "people": self.people,
        }
        return {name: text for name, text in named.items() if text}

    def document(self) -> dict[str, Any]:
        """The facts as a JSON document beside a file, for other programs."""
        skeleton = json.loads(self.skeleton) if self.skeleton.startswith("{") else self.skeleton
        people = {"people": json.loads(self.people)} if self.people else {}
        return {"pixels": self.pixels, "height": self.height, "skeleton": skeleton, **people}

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> Facts:
        """The facts of a file that holds these texts; those of other programs are left out."""
        height = texts.get("height", "")
        known = int(height) if height.isdecimal() else 0
        return cls(texts.get("pixels", ""), texts.get("skeleton", ""), known or None, texts.get("people", ""))


def add(file: Path | io.BytesIO, facts: Facts) -> None:
    """Adds the facts to a file: as an entry of the zip archive that it is, or else of one at its end."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(_ENTRY), json.dumps(facts.texts()))  # dated 1980: always the same bytes


def in_archive(file: Path) -> Facts:
    """The facts that `add` added to a file."""
    try:
        with zipfile.ZipFile(file) as archive:
            return Facts.read(json.loads(archive.read(_ENTRY)))
    except (zipfile.BadZipFile, KeyError):
        return Facts()
