"""The page and what it is made of: files beside this one, handed out as they are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response

from raccord.model.language import LANGUAGES
from raccord.web.words import words

ASSETS = {
    "app.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "machines.js": "text/javascript; charset=utf-8",
    "settings.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def router(language: Callable[[], str], *, dev: bool) -> APIRouter:
    """The page's routes.

    Args:
        language: says what the page is in unless its reader chose another.
        dev: whether everybody on this machine is let in.
    """
    made = APIRouter()

    def page() -> Response:
        text = _text("index.html").replace("{language}", language()).replace("{dev}", str(dev).lower())
        return Response(text, media_type="text/html; charset=utf-8")

    for path in ("/", "/sync-dashboard.html"):
        made.add_api_route(path, page, methods=["GET"], include_in_schema=False)

    def asset(name: str) -> Response:
        if name not in ASSETS:
            return Response(status_code=404)
        return Response(_text(name), media_type=ASSETS[name])

    made.add_api_route("/assets/{name}", asset, methods=["GET"], include_in_schema=False)

    @made.get("/api/words", tags=["page"])
    def said(language: str = "") -> dict[str, dict[str, str] | list[str]]:
        """The words of the page in a language."""
        return {"words": words(language), "languages": list(LANGUAGES)}

    return made


def _text(name: str) -> str:
    return resources.files("raccord.web").joinpath("static", name).read_text("utf-8")
