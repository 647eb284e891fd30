"""Samples and pages are made from declarations, and the committed ones are what is made."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import inspect as mi

from agent import config, generate, wiring
from agent.settings import Vocabulary, compose
from contracts.event import Kind, Severity
from contracts.options import CollectorOptions
from settings import phrase
from settings.convert import unwrap

ROOT = Path(__file__).resolve().parents[2]
KIND = Kind(
    name="ports.listener_opened",
    meaning="A process began to listen.",
    title="x",
    severity=Severity.MEDIUM,
    fields={"port": "int"},
    attack=("T1571",),
    advice="Close it.",
)
VOCABULARY = Vocabulary(settings=compose({"ports": CollectorOptions}, {}), kinds={KIND.name: KIND}, actions={})


def test_the_kinds_page_says_all_about_a_kind() -> None:
    page = generate.kinds_page([KIND])
    assert "## ports\n\n### `ports.listener_opened`\n\nA process began to listen.\n" in page
    for line in (
        "- severity: medium",
        "- ATT&CK: T1571",
        "- OCSF class: 2004 Detection Finding",
        "- fields: `port` (int)",
        "- advice: Close it.",
    ):
        assert line in page


def test_what_differs_is_written_and_only_that(tmp_path: Path) -> None:
    files = generate.agent_files(VOCABULARY)
    assert generate.write(files, tmp_path) == list(files)
    assert generate.write(files, tmp_path) == []
    (tmp_path / "etc/agent.yaml").write_text("changed")
    assert generate.stale(files, tmp_path) == ["etc/agent.yaml"]


def test_the_schema_is_json(tmp_path: Path) -> None:
    assert json.loads(generate.agent_schema(VOCABULARY))["properties"]["collectors"]["properties"]["ports"]


def test_every_example_in_the_settings_is_right(tmp_path: Path) -> None:
    """What the sample and the page show as an example loads, references included."""
    vocabulary = wiring.vocabulary()
    texts = [text.removeprefix("- ") for text in _examples(msgspec.inspect.type_info(vocabulary.settings), "")]
    assert len(texts) > 5
    for text in texts:
        path = tmp_path / "agent.yaml"
        path.write_text(text if "token" not in text else f"{text.rstrip('}')}, url: 'https://x:1'}}}}")
        config.load_agent(path, vocabulary)


def _examples(kind: mi.Type, path: str) -> Iterator[str]:
    plain, _ = unwrap(kind)
    if not isinstance(plain, mi.StructType):
        return
    for field in plain.fields:
        here = f"{path}{field.encode_name}: "
        for example in phrase.examples_of(field.type):
            yield f"{{{here}{phrase.written(example)}{'}' * (path.count('{') + 1)}"
        yield from _examples(field.type, f"{here}{{")


def test_committed_files_are_what_the_declarations_make() -> None:
    assert generate.stale(generate.agent_files(wiring.vocabulary()), ROOT) == [], "run: make generate"
