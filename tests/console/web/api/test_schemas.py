"""The OpenAPI document itself."""

from console.web.access import ACCESS


def test_every_route_of_the_api_is_in_the_document(document):
    promised = {f"{method.upper()} {path}" for path, item in document.text["paths"].items() for method in item}
    assert promised == {route for route in ACCESS if "/api/v1/" in route}


def test_the_document_is_complete_and_loads_nothing_from_elsewhere(document, viewer):
    assert document.text["openapi"].startswith("3.")
    assert document.text["info"]["title"] == "Holdfast console"
    for path, item in document.text["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
    for path in ("/api", "/api/swagger", "/api/redoc"):
        assert "<script" not in viewer.get(path).text.lower()
