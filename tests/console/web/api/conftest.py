"""Answers of the API, checked against the API's own OpenAPI document."""

from collections.abc import Callable
from typing import Any

import httpx
import jsonschema
import pytest


class Document:
    """The OpenAPI document as served, and what it promises of each answer."""

    def __init__(self, text: dict[str, Any]) -> None:
        self.text = text

    def check(self, answer: httpx.Response, method: str, path: str) -> Any:
        """Return the answer's body; fails unless the document promises exactly this status and shape."""
        operation = self.text["paths"][path][method]
        promised = operation["responses"][str(answer.status_code)]
        kind, content = next(iter(promised["content"].items()))
        assert answer.headers["content-type"].split(";")[0] == kind
        body = answer.json()
        jsonschema.validate(body, {**content["schema"], "components": self.text["components"]})
        return body


@pytest.fixture
def document(viewer: Any) -> Document:
    answer = viewer.get("/api/openapi.json")
    assert answer.status_code == 200
    return Document(answer.json())


@pytest.fixture
def ask(document: Document) -> Callable[..., Any]:
    """GET a path as somebody and return the checked body."""

    def asking(browser: Any, path: str, template: str = "", **query: Any) -> Any:
        return document.check(browser.get(path, params=query or None), "get", template or path)

    return asking
