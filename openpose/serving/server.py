"""The server: KServe's protocols, health and metrics, and one page to try the model with."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import kserve
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from kserve.model_server import app

from openpose.errors import InputError
from openpose.serving.pose_model import MOST_BYTES, MOST_PIXELS, NAME, PoseModel

_PAGE = Path(__file__).with_name("page.html")
DRAIN = 30  # seconds for the requests that a stopped server has begun


def serve(model: PoseModel, port: int, lineage: Callable[[], str] | None) -> None:
    """Serves a model until SIGTERM or SIGINT; requests that have begun are answered.

    Args:
        model: that answers.
        port: of this machine.
        lineage: makes the page that shows where the served model comes from; None if that is not known.
    """
    app.middleware("http")(_limited)
    app.get("/", include_in_schema=False)(_page)
    app.get("/skeleton.json", include_in_schema=False)(lambda: _skeleton(model) | {"lineage": lineage is not None})
    if lineage:
        app.get("/lineage", include_in_schema=False, response_class=HTMLResponse)(lambda: _lineage(lineage))
    # KServe answers with a class that FastAPI wants to drop; whoever runs a server cannot change that.
    warnings.filterwarnings("ignore", "ORJSONResponse is deprecated")
    kserve.ModelServer(http_port=port, enable_grpc=False, grace_period=DRAIN).start([model])


async def _limited(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuses a request that is too large before it is read."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > MOST_BYTES:
        return JSONResponse({"error": f"{int(length):,} bytes; a request has at most {MOST_BYTES:,}"}, 413)
    return await answer(request)


async def _page() -> HTMLResponse:
    return HTMLResponse(await asyncio.to_thread(_PAGE.read_text, encoding="utf-8"))


def _lineage(page: Callable[[], str]) -> Response:
    try:
        return HTMLResponse(page())
    except InputError as error:
        return JSONResponse({"error": str(error)}, 404)


def _skeleton(model: PoseModel) -> dict[str, Any]:
    """What the page needs to draw people."""
    skeleton = model.predictor.model.skeleton
    return {
        "name": NAME,
        "category": skeleton.category,
        "parts": skeleton.parts,
        "limbs": skeleton.limb_names,
        "most_pixels": MOST_PIXELS,
    }
