"""What holds without being configured: bans come back, and the console is never blocked."""

import time
from pathlib import Path

import msgspec
import pytest

from agent import standing, wiring
from agent.clock import SystemClock
from agent.config import load_agent
from agent.identity import Enrolment
from agent.kinds import STARTED
from agent.responder import Responder
from collectors.integrity import telling
from contracts.event import Envelope, Event
from contracts.file_change import MODIFIED, RENAMED, Change
from contracts.text import escape
from contracts.trees import Node


def planned(tmp_path: Path, text: str = "{}"):
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    return wiring.plan(file)


def options(plan, action: str):
    (spec,) = [spec for spec in plan.workers if action in spec.actions]
    return msgspec.msgpack.decode(spec.options[action])


def test_bans_come_back_at_the_start_and_when_the_table_is_lost(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert [(rule.when, rule.do, rule.dry_run) for rule in plan.settings.rules] == [
        ("agent.started", "reblock", False),
        ("bans.table_lost", "reblock", False),
        ("agent.started", "blocklist", False),
        ("agent.config_loaded", "blocklist", False),
        ("antivirus.signatures_stale", "update_signatures", False),
        ("antivirus.daemon_behind", "update_signatures", False),
    ]


def test_antivirus_acts_by_itself_only_as_far_as_it_may(tmp_path: Path) -> None:
    plan = planned(tmp_path, "antivirus: {update: {enabled: false}, quarantine: {enabled: true}}")
    assert [rule.do for rule in plan.settings.rules if rule.when.startswith("antivirus.")] == ["quarantine"]
    off = planned(tmp_path, "antivirus: {enabled: false, quarantine: {enabled: true}}")
    assert not [rule for rule in off.settings.rules if rule.when.startswith("antivirus.")]


def test_deeds_about_malware_know_clamav_from_the_collectors_settings(tmp_path: Path) -> None:
    text = "collectors: {antivirus: {clamav: {clamd_conf: /a}}}"
    assert clamd_conf(planned(tmp_path, text)) == "/a"
    assert clamd_conf(planned(tmp_path, text + "\nantivirus: {clamav: {clamd_conf: /b}}")) == "/b"


def clamd_conf(plan) -> str:
    steward = next(spec for spec in plan.workers if spec.name == "steward")
    return msgspec.msgpack.decode(steward.options["scan"])["clamav"]["clamd_conf"]


NODE = Node(b"x", 0o100644, 0, 0, 1, 5, 0, 0, 1, 1, content=b"\x01" * 32)
HISTORY = "{history: {enabled: true, splay: 0s}, collectors: {integrity: {enabled: true}}}"


def asked(plan, *events: Event) -> list[tuple[str, dict]]:
    """What the standing rules have done about events."""
    did: list[tuple[str, dict]] = []

    def run(deed, command, *_) -> None:
        if deed.action == "history_keep":
            did.append((deed.action, dict(command.arguments)))

    responder = Responder(plan.settings.rules, plan.deeds, run, SystemClock(), new_id=lambda: "1")
    for event in events:
        assert responder.respond([Envelope(id="e", agent="a", lane=event.lane, seq=1, event=event)]) == []
    return did


def test_a_version_is_kept_of_each_watched_file_that_changed_and_of_all_where_no_file_is_named(tmp_path: Path) -> None:
    plan = planned(tmp_path, HISTORY)
    one = Change(path=b"/etc/a b", kinds=(MODIFIED,), profile="configuration", before=NODE, after=NODE)
    other = msgspec.structs.replace(one, path=b"/etc/c", former=b"/etc/b", kinds=(RENAMED,))
    program = msgspec.structs.replace(one, path=b"/usr/bin/x", profile="binaries")
    many = telling.events([one] * 2, single=1)
    assert asked(plan, *map(telling.event, (one, other, program)), *many) == [
        ("history_keep", {"path": escape(b"/etc/a b")}),
        ("history_keep", {"paths": ["/etc/c", "/etc/b"]}),
        ("history_keep", {}),
    ]
    assert plan.timed["history"].at == "03:20"


def test_all_are_kept_at_the_start_and_programs_where_the_settings_name_them(tmp_path: Path) -> None:
    text = "{history: {enabled: true, paths: [/usr/local/etc]}, collectors: {integrity: {enabled: true}}}"
    program = Change(path=b"/usr/local/etc/x", kinds=(MODIFIED,), profile="binaries", before=NODE, after=NODE)
    plan = planned(tmp_path, text)
    assert asked(plan, STARTED.event("x", version="1"), telling.event(program))[-1][1] == {"path": "/usr/local/etc/x"}
    assert ("history_keep", {"why": "the agent began"}) in asked(plan, STARTED.event("x", version="1"))
    assert not [rule for rule in planned(tmp_path).settings.rules if rule.do == "history_keep"]


def test_configured_rules_come_first_and_keep_their_numbers(tmp_path: Path) -> None:
    plan = planned(tmp_path, "rules: [{when: ports.listener_opened, do: notify}]")
    assert plan.settings.rules[0].do == "notify" and len(plan.settings.rules) == 7


def test_configured_lists_are_loaded_by_themselves(tmp_path: Path) -> None:
    plan = planned(tmp_path, "actions: {blocklist: {lists: {drop: /etc/holdfast/drop.txt}}}")
    assert [rule.when for rule in plan.settings.rules if rule.do == "blocklist"] == [
        "agent.started",
        "bans.table_lost",
        "agent.config_loaded",
    ]


def test_the_console_is_never_blocked(tmp_path: Path) -> None:
    text = "console: {url: 'https://192.0.2.9:8444'}\nactions: {block: {never: {198.51.100.1: backup target}}}"
    plan = planned(tmp_path, text)
    assert options(plan, "block")["never"] == {"198.51.100.1": "backup target", "192.0.2.9": "it is the console"}
    assert options(plan, "blocklist")["never"] == {"198.51.100.1": "backup target", "192.0.2.9": "it is the console"}


def test_the_console_of_an_enrolled_host_is_never_blocked(tmp_path: Path) -> None:
    kept = tmp_path / "state" / "identity" / "1"
    kept.mkdir(parents=True)
    (kept.parent / "current").symlink_to("1")
    there = Enrolment(agent="a" * 32, url="https://192.0.2.77:8444", renew_after_ms=0, enrolled_ms=0)
    text = f"directories: {{state: {tmp_path / 'state'}}}"
    assert "192.0.2.77" not in options(planned(tmp_path, text), "block")["never"], "not enrolled yet"
    (kept / "enrolled.json").write_bytes(msgspec.json.encode(there))
    assert options(planned(tmp_path, text), "block")["never"]["192.0.2.77"] == "it is the console"
    (kept / "enrolled.json").write_bytes(b"{damaged")
    assert "192.0.2.77" not in options(planned(tmp_path, text), "block")["never"]


def test_backup_targets_are_never_blocked(tmp_path: Path) -> None:
    jobs = """
        system:
          repository: /srv/backup
          replicas: [{target: "sftp://web1@192.0.2.20:2222//repository"}, {target: "sftp://web1@[2001:db8::20]/r"}]
        mail: {repository: "sftp:mail@192.0.2.21:repository", paths: [/var/mail]}
    """
    plan = planned(tmp_path, f"backup:\n  jobs: {jobs}\n")
    for action in ("block", "blocklist"):
        assert options(plan, action)["never"] == {
            "192.0.2.20": "it is the backup target of system",
            "2001:db8::20": "it is the backup target of system",
            "192.0.2.21": "it is the backup target of mail",
        }


def test_the_tags_that_take_directories_out_of_backups_are_looked_for_by_who_looks_at_holdings(tmp_path: Path) -> None:
    jobs = """
        system: {repository: /srv/backup, exclude_if_present: [.nobackup, "keep:out"]}
        mail: {repository: /srv/mail, paths: [/var/mail], exclude_if_present: [.nobackup]}
    """
    plan = planned(tmp_path, f"collectors:\n  holdings: {{tags: [mine]}}\nbackup:\n  jobs: {jobs}\n")
    (spec,) = [spec for spec in plan.workers if "holdings" in spec.subjects]
    assert msgspec.msgpack.decode(spec.options["holdings"])["tags"] == ["mine", ".nobackup", "keep:out"]


def test_a_backup_target_has_a_port_for_whoever_asks_whether_it_is_cut(tmp_path: Path) -> None:
    place = "sftp://web1@backup.example:2222//r"
    file = tmp_path / "agent.yaml"
    file.write_text(f"backup: {{jobs: {{a: {{repository: '{place}'}}, b: {{repository: /srv/b}}}}}}\n")
    settings = load_agent(file, wiring.vocabulary()).value
    assert list(standing.backup_targets(settings)) == [("a", "backup.example", 2222)]


@pytest.mark.parametrize("host", ["192.0.2.9", "2001:db8::9"])
def test_a_literal_address_needs_no_lookup(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing.socket, "getaddrinfo", None)
    assert standing.addresses({host: "it is the console"}) == {host: "it is the console"}


def test_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        (2, 1, 6, "", ("192.0.2.9", 0)),
        (2, 1, 6, "", ("192.0.2.9", 0)),
        (10, 1, 6, "", ("2001:db8::9", 0, 0, 0)),
    ]
    monkeypatch.setattr(standing.socket, "getaddrinfo", lambda *_, **__: answers)
    assert standing.addresses({"console.example": "it is the console"}) == dict.fromkeys(
        ("192.0.2.9", "2001:db8::9"), "it is the console (console.example)"
    )


def test_a_lookup_that_hangs_or_fails_does_not_hold_up_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no resolver")

    monkeypatch.setattr(standing.socket, "getaddrinfo", refuse)
    assert standing.addresses({"console.example": "x"}) == {}
    monkeypatch.setattr(standing, "RESOLVE_S", 0.1)
    monkeypatch.setattr(standing.socket, "getaddrinfo", lambda *_, **__: time.sleep(10) or [])
    started = time.monotonic()
    assert standing.addresses({"console.example": "x", "one.example": "y", "192.0.2.9": "z"}) == {"192.0.2.9": "z"}
    assert time.monotonic() - started < 8
