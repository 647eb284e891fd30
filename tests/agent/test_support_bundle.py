"""Secrets planted in every place that a bundle is made from never come out of it, and its manifest holds."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta

from agent import support_bundle
from agent.diagnosis import Check
from agent.settings import Vocabulary, compose
from contracts.errors import Unreachable
from contracts.event import Kind, Severity
from contracts.options import ActionOptions, CollectorOptions, Secret

SECRET = "hunter2"


class Mail(ActionOptions):
    """Mail."""

    password: Annotated[Secret | None, Meta(description="P.")] = None
    url: Annotated[str, Meta(description="U.")] = ""
    headers: Annotated[dict[str, str], Meta(description="H.")] = {}


KIND = Kind(name="ports.listener_opened", meaning="x.", title="x", severity=Severity.LOW, fields={"process": "str"})
VOCABULARY = Vocabulary(
    settings=compose({"ports": CollectorOptions}, {"mail": Mail}),
    kinds={KIND.name: KIND},
    actions={"mail": {"to": "str"}},
)
SIGHT = {
    "subject": "ports",
    "state": "partial",
    "rows": 3,
    "since_ms": 1,
    "last_ok_ms": 2,
    "blind": [
        {"what": f"x {SECRET}", "why": "permission", "detail": SECRET, "fix": SECRET},
        {"what": "y", "why": SECRET},
    ],
}
ANSWERS: dict[str, Any] = {
    "status": {
        "agent": SECRET,
        "version": SECRET,
        "uptime_s": 5.5,
        SECRET: SECRET,
        "counts": {"seen": 1, SECRET: 1},
        "console": {"connected": True, "last_error": SECRET, "advice": SECRET, "url": SECRET, "skew_ms": 12},
        "workers": [
            {"name": "reader", "state": "running", "pid": 7, "detail": SECRET},
            {"name": SECRET, "state": SECRET, "pid": SECRET},
        ],
        "lanes": [{"lane": "bulk", "waiting": 3}, {"lane": SECRET}],
        "outputs": [{"name": "ndjson", "written": 4, "problem": SECRET}],
        "config": {"file": SECRET, "refused": [SECRET], "pending": False},
        "sights": [SIGHT, {"subject": SECRET, "state": SECRET}],
    },
    "coverage": {"sights": [SIGHT, {"subject": SECRET}]},
    "ledger": [{"name": "ports", "runs": 3, "cpu_s": 0.5, "day": SECRET}, {"name": SECRET, "runs": SECRET}],
    "events": [
        {"kind": KIND.name, "severity": 2, "key": SECRET, "fields": {"process": SECRET}, "text": SECRET},
        {"event": {"kind": SECRET, "severity": SECRET, "evidence": {SECRET: SECRET}}},
        SECRET,
    ],
}
CHECKS = [
    Check(name=f"configuration /{SECRET}", state="failed", found=SECRET, fix=SECRET),
    Check(name="view of ports", state="ok", found="x"),
    Check(name=f"view of {SECRET}", state="ok", found="x"),
    Check(name=SECRET, state="ok", found=SECRET),
    Check(name="tool nft", state="ok", found=SECRET),
]


def ask(verb: str, arguments: Mapping[str, Any]) -> Any:
    return ANSWERS[verb]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A configuration and a state folder full of secrets."""
    state = tmp_path / "state"
    (state / "identity").mkdir(parents=True)
    for name in ("agent-id", "identity/key.pem", "spool.db", f"spool.{SECRET}", SECRET):
        (state / name).write_text(SECRET)
    (tmp_path / "agent.d").mkdir()
    (tmp_path / "agent.d" / f"10-{SECRET}.yaml").write_text(f"actions: {{mail: {{headers: {{{SECRET}: {SECRET}}}}}}}\n")
    path = tmp_path / "agent.yaml"
    path.write_text(
        f"# {SECRET}\ndirectories: {{state: {state}}}\nheartbeat: {{every: 11s}}\n"
        f"actions: {{mail: {{password: file:/etc/{SECRET}, url: https://u:{SECRET}@x}}}}\n"
        f"rules: [{{when: ports.*, do: mail, match: {{process: {SECRET}}}, with: {{to: {SECRET}}}}}]\n"
    )
    return path


def packed(path: Path, target: Path) -> dict[str, bytes]:
    parts = support_bundle.collect(path, VOCABULARY, ask, CHECKS, "0.1.0")
    support_bundle.write(target, parts, 1_700_000_000)
    with tarfile.open(target) as archive:
        return {entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive.getmembers()}


def test_no_planted_secret_comes_out(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PLANTED", SECRET)
    files = packed(place, tmp_path / "b.tar.gz")
    for name, body in files.items():
        assert SECRET not in name
        assert SECRET.encode() not in body, name


def test_no_planted_secret_comes_out_of_a_broken_configuration(place: Path, tmp_path: Path) -> None:
    place.write_text(f"{SECRET}: {SECRET}\nheartbeat: {{every: {SECRET}}}\nactions: {{mail: {{password: {SECRET}}}}}\n")
    files = packed(place, tmp_path / "b.tar.gz")
    assert all(SECRET.encode() not in body for body in files.values())
    problems = json.loads(files["holdfast-support/settings-problems.json"])
    assert [(each["line"], each["setting"], each["drop_in"]) for each in problems] == [
        (1, "other", False),
        (2, "heartbeat.every", False),
        (3, "actions.mail.password", False),
    ]


def test_what_helps_is_in_it(place: Path, tmp_path: Path) -> None:
    files = {
        name.removeprefix("holdfast-support/"): json.loads(body)
        for name, body in packed(place, tmp_path / "b.tar.gz").items()
    }
    settings = {row["setting"]: row for row in files["settings.json"]}
    assert settings["heartbeat.every"] == {"setting": "heartbeat.every", "set": True, "value": "11s"}
    assert settings["actions.mail.url"]["value"] == "(text left out)"
    assert files["status.json"]["workers"][0] == {"name": "reader", "state": "running", "pid": 7}
    assert files["status.json"]["workers"][1] == {"name": "other", "state": "other", "pid": None}
    assert files["status.json"]["console"] == {"connected": True, "skew_ms": 12}
    assert files["coverage.json"]["sights"][0]["blind"] == [{"why": "permission"}, {"why": "other"}]
    assert files["ledger.json"][0] == {"name": "ports", "runs": 3, "cpu_s": 0.5}
    assert {"kind": KIND.name, "severity": "low", "count": 1} in files["events.json"]
    assert files["agent.json"]["files"] == {"spool.db": len(SECRET)}
    assert files["checks.json"] == [
        {"check": "configuration", "state": "failed"},
        {"check": "view of ports", "state": "ok"},
        {"check": "view of", "state": "ok"},
        {"check": "other", "state": "ok"},
        {"check": "tool nft", "state": "ok"},
    ]


def test_the_manifest_holds(place: Path, tmp_path: Path) -> None:
    files = packed(place, tmp_path / "b.tar.gz")
    manifest = json.loads(files.pop("holdfast-support/manifest.json"))["files"]
    assert {f"holdfast-support/{name}": entry["sha256"] for name, entry in manifest.items()} == {
        name: hashlib.sha256(body).hexdigest() for name, body in files.items()
    }


def test_it_is_private_and_never_replaces_a_file(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.tar.gz"
    packed(place, target)
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(support_bundle.BundleExists, match="is there already; name another with --output"):
        packed(place, target)


def test_an_agent_that_does_not_answer_is_noted(place: Path) -> None:
    def away(verb: str, arguments: Mapping[str, Any]) -> Any:
        raise Unreachable(SECRET)

    parts = support_bundle.collect(place, VOCABULARY, away, [], "0.1.0")
    assert parts["status"] == {"unavailable": "Unreachable"}


@pytest.mark.parametrize(
    "answer", [None, 3, SECRET, [SECRET], {"sights": SECRET}, {"sights": [[SECRET]]}, [{"event": [SECRET]}]]
)
def test_answers_of_another_shape_let_nothing_through(place: Path, answer: Any) -> None:
    parts = support_bundle.collect(place, VOCABULARY, lambda *_: answer, [], "0.1.0")
    assert SECRET not in json.dumps({name: parts[name] for name in ("status", "coverage", "ledger", "events")})
