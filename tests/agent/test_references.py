"""What a configuration speaks of exists, with the right types, or an error says where and what would do."""

from pathlib import Path

import pytest

from agent import references
from agent.settings import Vocabulary, compose
from contracts.event import Kind, Severity
from contracts.options import ActionOptions
from settings.load import explain

KINDS = (
    Kind(
        name="ports.listener_opened",
        meaning="x.",
        title="x",
        severity=Severity.LOW,
        fields={"port": "int", "process": "str", "public": "bool"},
    ),
    Kind(
        name="firewall.ruleset_flushed",
        meaning="x.",
        title="x",
        severity=Severity.HIGH,
        fields={"backend": "str", "tables": "list", "share": "float"},
    ),
)
VOCABULARY = Vocabulary(
    settings=compose({}, {"notify": ActionOptions}),
    kinds={kind.name: kind for kind in KINDS},
    actions={"notify": {"channel": "str", "times": "int", "loud": "bool", "to": "list"}},
)


def findings(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    return [
        str(item).removeprefix(f"{path}:") for item in references.check(explain(path, VOCABULARY.settings), VOCABULARY)
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "events:\n  severity:\n    ports.listener_opend: high\n",
            '3:5: events.severity.ports.listener_opend: there is no kind of event "ports.listener_opend"; did you mean',
        ),
        (
            "rules:\n- {when: ports.listener_closed, do: notify}\n",
            '2:10: rules[0].when: no kind of event is called "ports.listener_closed"; did you mean',
        ),
        (
            "rules:\n- {when: ports.*, do: notfy}\n",
            '2:23: rules[0].do: there is no action "notfy"; did you mean "notify"?',
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  match: {prot: 1}\n",
            '4:11: rules[0].match.prot: ports.* has no field "prot"; did you mean "port"?',
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  match: {port: '22'}\n",
            "rules[0].match.port: the field holds a whole number, and '22' is none",
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  match: {public: 1}\n",
            "the field holds true or false, and 1 is none",
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  match: {port: [22, x]}\n",
            "the field holds a whole number, and 'x' is none",
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  match: {process: {above: 3}}\n",
            "the field holds text, which above, below, at_least and at_most cannot",
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  match: {port: {glob: '2*'}}\n",
            "the field holds a whole number, which glob cannot match",
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  match: {severity: hihg}\n",
            'there is no severity "hihg"; did you mean "high"?',
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  with: {chanel: x}\n",
            'rules[0].with.chanel: the action notify takes no "chanel"; did you mean "channel"?',
        ),
        (
            "rules:\n- when: ports.*\n  do: notify\n  with: {times: many}\n",
            "notify wants a whole number here, and 'many' is none",
        ),
        ("rules:\n- when: ports.*\n  do: notify\n  with: {channel: '{backend}'}\n", 'ports.* has no field "backend"'),
        (
            "rules:\n- when: ports.*\n  do: notify\n  with: {channel: 'a {prot} b'}\n",
            'has no field "prot"; did you mean "port"?',
        ),
        ("rules:\n- when: ports.*\n  do: notify\n  with: {to: [a, '{prot}']}\n", 'has no field "prot"'),
        (
            "rules:\n- when: ports.*\n  do: notify\n  with: {channel: '{port}'}\n",
            "notify wants text here, and the field port holds a whole",
        ),
        ("rules:\n- when: ports.*\n  do: notify\n  with: {to: me}\n", "notify wants a list here, and 'me' is none"),
        (
            "rules:\n- when: ports.*\n  do: notify\n  with: {channel: [a]}\n",
            "notify wants text here, and a list is none",
        ),
        (
            "console:\n  token: file:/x\n",
            "2:10: console.token: a token without an address enrols nowhere; write console.url too",
        ),
    ],
)
def test_what_does_not_exist_is_named_with_its_position(tmp_path: Path, text: str, said: str) -> None:
    (found,) = findings(tmp_path, text)
    assert said in found


def test_what_exists_passes(tmp_path: Path) -> None:
    text = """
events: {severity: {ports.listener_opened: high}}
rules:
- when: "*"
  do: notify
  match: {severity: [high, critical], key: {glob: "tcp*"}}
  with: {channel: "{key} of {kind}", times: 3, loud: true, to: [a, "{severity}"]}
- {when: firewall.ruleset_flushed, do: notify, match: {share: {above: 0.5}, tables: filter, backend: {other_than: [nft]}}}
"""
    assert findings(tmp_path, text) == []
