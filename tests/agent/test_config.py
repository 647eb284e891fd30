"""The agent's configuration loads with its references checked, and any change of it changes its digest."""

from pathlib import Path

import pytest

from agent import config
from agent.settings import Vocabulary, compose
from settings.errors import ConfigErrors

VOCABULARY = Vocabulary(settings=compose({}, {}), kinds={}, actions={})


def test_a_configuration_loads(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("heartbeat: {every: 10s}\n")
    assert config.load_agent(path, VOCABULARY).value.heartbeat.every == 10.0


def test_a_broken_reference_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("rules: [{when: a.b, do: c}]\n")
    with pytest.raises(ConfigErrors) as caught:
        config.load_agent(path, VOCABULARY)
    assert [item.path for item in caught.value.items] == ["rules[0].when", "rules[0].do"]


def test_the_digest_differs_when_a_value_does(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    digests = set()
    for text in ("", "heartbeat: {every: 10s}\n", "heartbeat: {every: 11s}\n", "log: {level: info}\n"):
        path.write_text(text)
        digests.add(config.digest(config.encode(config.load_agent(path, VOCABULARY).value)))
    assert len(digests) == 3
