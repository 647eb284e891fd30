"""The JSON Schema accepts what the loader accepts and refuses what it refuses, as far as a schema can say it."""

from typing import Any

import jsonschema
import pytest
import yaml

from settings.errors import ConfigErrors
from settings.load import parse
from settings.sample import sample, uncommented
from settings.schema import schema


@pytest.fixture
def validator(kind: Any) -> Any:
    body = schema(kind, "Settings")
    jsonschema.Draft202012Validator.check_schema(body)
    return jsonschema.Draft202012Validator(body)


def test_the_sample_is_valid(kind: Any, validator: Any) -> None:
    text = sample(kind, "Settings.", "agent")
    validator.validate(yaml.safe_load(text))
    validator.validate(yaml.safe_load(uncommented(text)))


@pytest.mark.parametrize(
    "text",
    [
        "nam: x",
        "collectors: {ports: {every: 30}}",
        "collectors: {ports: {every: abc}}",
        "collectors: {ports: {limit: 101}}",
        "collectors: {ports: {mode: slow}}",
        "collectors: {ports: {severity: hihg}}",
        "collectors: {ports: {token: hunter2}}",
        "collectors: {ports: {expected: x}}",
        "rules: [{}]",
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(kind: Any, validator: Any, text: str) -> None:
    with pytest.raises(ConfigErrors):
        parse(text.encode(), kind)
    assert not validator.is_valid(yaml.safe_load(text))


def test_defaults_and_descriptions_are_in_it(kind: Any) -> None:
    ports = schema(kind, "Settings")["properties"]["collectors"]["properties"]["ports"]["properties"]
    assert ports["every"]["default"] == "5m"
    assert ports["every"]["description"] == "How often."
    assert ports["limit"] == {
        "description": "Limit | bound.",
        "type": "integer",
        "minimum": 0,
        "maximum": 100,
        "default": 3,
    }
