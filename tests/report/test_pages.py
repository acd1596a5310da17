"""Reports open alone, show what they must, and stay small."""

import html.parser
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openpose.codec.decode import People
from openpose.evaluation.gallery import Example, Gallery, Shown
from openpose.evaluation.keypoint_errors import KINDS, Comparison, ErrorCounts, total
from openpose.evaluation.pixel_errors import FIGURES
from openpose.report.evaluation_page import MAX_BYTES, Evaluation, evaluation_page
from openpose.report.training_page import training_page
from openpose.skeleton import OPENPOSE18

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("loss", "loss_lastlayer", "loss_lastlayer_paf", "loss_lastlayer_heat")


class Page(html.parser.HTMLParser):
    """Checks that every tag is closed; collects attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "link", "wbr"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def history(epochs: int) -> list[dict[str, float]]:
    losses = {f"{prefix}{name}": 50.0 for prefix in ("", "valid_") for name in NAMES}
    return [{"step": 10.0 * epoch} | {k: v / epoch for k, v in losses.items()} for epoch in range(1, epochs + 1)]


def example(height: int, width: int, people: int = 1) -> Shown:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    found = People(
        np.dstack([rng.uniform(0, (width, height), (people, 18, 2)), np.ones((people, 18))]).astype(np.float32),
        np.ones(people, np.float32),
    )
    grid = (-(-height // 8), -(-width // 8))
    heatmap, vectmap = np.zeros((*grid, 19), np.float32), np.zeros((*grid, 38), np.float32)
    gallery = Gallery(1)
    one = Example("a <b>.jpg", image, found, found, heatmap, vectmap, (8.0, 8.0), "1 labelled, 1 found")
    gallery.add(one, Comparison(total([], OPENPOSE18), 0.5, 0, 0), 0)
    (shown,) = gallery.drawn(OPENPOSE18)
    return shown


def evaluation(best: list[Shown], worst: list[Shown], epochs: int = 3, labelled: int = 2) -> str:
    parts = OPENPOSE18.source_parts
    errors = ErrorCounts(np.full((len(KINDS), 17), labelled), np.full(17, 1), np.full(17, 4))
    far = dict(zip(FIGURES, (8.765, 4.321, 9.876, 0.111, 0.222, 0.987), strict=True))
    count = {"labelled": labelled}
    content = Evaluation(
        verdict="rejected",
        reason="AP is < 0.6.",
        facts={"model": "mobilenet_thin"},
        figures={"AP": 0.5312, "APm": None, **far, "valid_loss": 12.345},
        champion={"AP": 0.6543},
        parts=dict.fromkeys(parts, 0.4321) | {"left_wrist": None},
        keypoints=dict.fromkeys(parts, far | count) | {"nose": dict.fromkeys(far) | count},
        errors=errors,
        history=history(epochs),
        steps=history(5) if epochs else [],
        best=best,
        worst=worst,
        notes=["Note <this>."],
    )
    return evaluation_page("Evaluation", content, OPENPOSE18)


def test_evaluation_opens_alone_and_shows_everything() -> None:
    page = Page(evaluation([example(60, 80)], [example(33, 20, people=0), example(900, 30)]))
    pictures = [link for link in page.links if link.startswith("data:image/jpeg;base64,")]
    assert len(pictures) == 12  # found, true, heatmap and PAF of three examples
    assert all(link.startswith(("data:", "#")) for link in page.links)
    for text in (
        "AP is < 0.6.",
        "0.531",
        "champion 0.654",
        "undefined",
        "12.3",
        "Note <this>.",
        "a <b>.jpg",
        "mobilenet_thin",
        "validation",
        "found",
        "Best pictures",
        "Worst pictures",
        "swapped sides",
        "14.3 %",
        "left wrist",
        "25 %",
        "Distances from the labels",
        "8.765",
    ):
        assert text in page.text, text


def test_evaluation_without_people_or_pictures() -> None:
    page = Page(evaluation([], [], epochs=0, labelled=0))
    assert "AP is < 0.6." in page.text
    for heading in ("Curves", "Best pictures", "Worst pictures", "Errors on the labelled keypoints", "Distances"):
        assert heading not in page.text


@pytest.mark.slow
def test_24_noisy_photographs_stay_below_5_mb() -> None:
    page = evaluation([example(480, 640)] * 12, [example(640, 480)] * 12)
    assert len(page.encode()) < MAX_BYTES == 5_000_000
    assert page.count("data:image/jpeg") == 96


@pytest.mark.slow
def test_curves_of_ap() -> None:
    scored = [epoch | {"valid_ap": 0.1 * number} for number, epoch in enumerate(history(3))]
    assert "COCO AP" in Page(training_page("Training", {}, scored)).text
    assert "COCO AP" not in Page(training_page("Training", {}, history(3))).text


@pytest.mark.parametrize("epochs", [0, 1, 30])
def test_training_of_any_length(epochs: int) -> None:
    page = Page(training_page("Training <of> it", {"size": "368"}, history(epochs)))
    assert "Training <of> it" in page.text
    assert ("Curves" in page.text) == (epochs > 0)


def test_same_model_same_bytes() -> None:
    assert evaluation([example(60, 80)], []) == evaluation([example(60, 80)], [])


def test_importing_a_page_imports_nothing_heavy() -> None:
    """A step that finds its work done imports the page and draws nothing."""
    code = (
        "import sys, openpose.report.data_page, openpose.report.training_page, openpose.report.evaluation_page\n"
        "print({'tensorflow', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
