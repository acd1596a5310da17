"""Fixtures of the training's tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def tiny() -> Iterator[None]:
    """`mobilenet_thin` is a network of a few layers for the tests of a file, see tests/tiny.py."""
    # Here, as Keras takes long to import and many tests do without.
    from openpose.networks import mobilenet
    from tests import tiny

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mobilenet, "mobilenet_thin", tiny.network)
        yield
