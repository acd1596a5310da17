"""Reports open alone, show what they must, and stay small."""

import html.parser

import numpy as np
import pytest

from openpose import report
from openpose.codec.decode import People
from openpose.evaluation.keypoint_errors import KINDS, ErrorCounts
from openpose.predict.predictor import Maps
from openpose.skeleton import OPENPOSE18

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


def example(height: int, width: int, people: int = 1) -> report.Example:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    found = People(
        np.dstack([rng.uniform(0, (width, height), (people, 18, 2)), np.ones((people, 18))]).astype(np.float32),
        np.ones(people, np.float32),
    )
    grid = (-(-height // 8), -(-width // 8))
    maps = Maps(np.zeros((*grid, 19), np.float32), np.zeros((*grid, 38), np.float32), 8, (1.0, 1.0))
    return report.Example("a <b>.jpg", image, found, found, maps, "1 labelled, 1 found")


def evaluation(best: list[report.Example], worst: list[report.Example], epochs: int = 3, labelled: int = 2) -> str:
    parts = OPENPOSE18.source_parts
    errors = ErrorCounts(np.full((len(KINDS), 17), labelled), np.full(17, 1), np.full(17, 4))
    content = report.Evaluation(
        verdict="rejected",
        reason="AP is < 0.6.",
        facts={"model": "mobilenet_thin"},
        figures={"AP": 0.5312, "APm": None, "valid_loss": 12.345},
        champion={"AP": 0.6543},
        parts=dict.fromkeys(parts, 0.4321) | {"left_wrist": None},
        errors=errors,
        history=history(epochs),
        steps=history(5) if epochs else [],
        best=best,
        worst=worst,
        notes=["Note <this>."],
    )
    return report.evaluation_page("Evaluation", content, OPENPOSE18)


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
    ):
        assert text in page.text, text


def test_evaluation_without_people_or_pictures() -> None:
    page = Page(evaluation([], [], epochs=0, labelled=0))
    assert "AP is < 0.6." in page.text
    for heading in ("Curves", "Best pictures", "Worst pictures", "What becomes of the labelled keypoints"):
        assert heading not in page.text


def test_24_noisy_photographs_stay_below_5_mb() -> None:
    page = evaluation([example(480, 640)] * 12, [example(640, 480)] * 12)
    assert len(page.encode()) < report.MAX_BYTES == 5_000_000
    assert page.count("data:image/jpeg") == 96


def test_examples_are_shrunk_with_their_people_and_maps() -> None:
    large = example(600, 1200)
    small = large.shrunk()
    assert small.image.shape == (250, 500, 3)
    pixel = np.array([large.truth.keypoints[0, 0, :2]]) + 0.5
    assert small.truth.keypoints[0, 0, :2] == pytest.approx(pixel[0] * 250 / 600 - 0.5, abs=1e-3)
    assert small.maps.cell == pytest.approx((8 * 250 / 600, 8 * 250 / 600))
    assert small.shrunk() is not large
    assert small.shrunk().image.shape == small.image.shape


def test_curves_of_ap() -> None:
    scored = [epoch | {"valid_ap": 0.1 * number} for number, epoch in enumerate(history(3))]
    assert "COCO AP" in Page(report.training_page("Training", {}, scored)).text
    assert "COCO AP" not in Page(report.training_page("Training", {}, history(3))).text


@pytest.mark.parametrize("epochs", [0, 1, 30])
def test_training_of_any_length(epochs: int) -> None:
    page = Page(report.training_page("Training <of> it", {"size": "368"}, history(epochs)))
    assert "Training <of> it" in page.text
    assert ("Curves" in page.text) == (epochs > 0)


def test_same_model_same_bytes() -> None:
    assert evaluation([example(60, 80)], []) == evaluation([example(60, 80)], [])
