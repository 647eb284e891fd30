"""`holdfast backup sheet` and `holdfast backup prove`: the sheet to print, and everything restored by root."""

import json
import os
import subprocess
import time

import pytest

from actions.backup.full_step import RECORDS
from actions.backup.job import newest
from actions.backup.key_reminder import STATES
from actions.backup.sheet import TAG, command_lines
from actions.backup.sheet_saving import before, save_sheet
from contracts.errors import Unreachable
from tests.agent.cli.backup_home import PASSWORD, Home, home

__all__ = ["home"]


def as_this_host(home: Home) -> None:
    """Snapshots of the job under this machine's own name."""
    home.repository.load_index()
    from actions.backup.archiver import Archiver

    home.ids.append(
        Archiver(home.repository).snapshot([str(home.source)], hostname=os.uname().nodename, tags=["etc"])[0]
    )


def test_the_sheet_is_printed_and_holds_no_password(home: Home) -> None:
    as_this_host(home)
    said = home.call("sheet", "--target", home.folder / "out")
    assert said.code == 0
    assert said.out.startswith(f"RECOVERY SHEET of {os.uname().nodename}")
    assert PASSWORD not in said.out
    assert f"restic restore {home.ids[-1][:16]} --target {home.folder}/out" in list(command_lines(said.out))
    restore = next(line for line in command_lines(said.out) if line.startswith("restic restore"))
    environment = {**os.environ, "RESTIC_REPOSITORY": str(home.place), "RESTIC_PASSWORD_FILE": str(home.password)}
    subprocess.run(["sh", "-c", restore], env=environment, check=True, capture_output=True)
    assert (home.folder / "out" / home.source.relative_to("/") / "one").read_text() == "changed"


def test_the_one_in_the_repository_is_read_without_a_configuration(home: Home) -> None:
    said = home.call("sheet", "--kept")
    assert (said.code, "no recovery sheet" in said.err) == (1, True)
    from actions.backup.options import JobOptions

    job = JobOptions(repository=str(home.place))
    at_ns = before(home.repository, home.ids)
    save_sheet(home.repository, "etc", job, "here", [(b"sheet.txt", "the sheet\n")], at_ns)
    assert home.call("sheet", "--kept").out == "the sheet\n"
    assert home.call("sheet", "-r", home.place, "-p", home.password, bare=True).out == "the sheet\n"
    assert home.call("sheet", "--kept", "--host", "other").code == 1
    assert newest(home.repository, "here", "etc")[0] == home.ids[1]  # type: ignore[index]
    assert "latest" not in TAG


def test_root_proves_everything_and_notes_it_for_the_agent(home: Home) -> None:
    as_this_host(home)
    (home.folder / "scratch").mkdir()
    said = home.call("prove", "--full", "--scratch", home.folder / "scratch")
    assert (said.code, "Proved: all of" in said.out) == (0, True), said
    assert "Time to restore" in said.out
    assert "takes note of it with its next run" in said.err
    assert list((home.folder / "scratch").iterdir()) == []
    records = json.loads((home.password.parent / RECORDS).read_text())
    (key,) = records
    assert key == f"{home.repository.config.id}/etc"
    assert records[key]["files"] == 2
    told = home.call("prove", "--full", "--scratch", home.folder / "scratch", "--json").json
    assert (told["problems"], told["missed"], told["not_proved_by"]) == (0, [], [])


def test_a_target_that_is_missed_and_damage_end_with_code_1(home: Home) -> None:
    as_this_host(home)
    home.configure(", proof: {full: {reserve: 0B, rpo: 1s, scratch: /var/tmp}}")
    time.sleep(1.1)
    said = home.call("prove", "--full", "--json")
    assert (said.code, [row["target"] for row in said.json["missed"]]) == (1, ["RPO"])
    for pack in (home.place / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(bytes(pack.stat().st_size))
    said = home.call("prove", "--full")
    assert (said.code, "NOT PROVED" in said.out or "data/" in said.err) == (1, True)


def test_without_room_it_says_both_numbers(home: Home) -> None:
    as_this_host(home)
    home.configure(", proof: {full: {reserve: 1000TiB}}")
    said = home.call("prove", "--full", "--scratch", home.folder)
    assert (said.code, "to spare" in said.err, "make room" in said.err) == (1, True, True)
    assert home.call("prove", "--scratch", home.folder).code == 2
    assert home.call("prove", "--full", "--scratch", home.folder / "nowhere").code == 1


def test_a_proved_recovery_key_is_noted_beside_the_jobs_password(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.agent.cli.backup_home import CHEAP

    monkeypatch.setattr("actions.backup.keys.calibrate", lambda: CHEAP)
    text = next(line.strip() for line in home.call("key recovery").out.splitlines() if line.startswith("    "))
    monkeypatch.setattr("agent.cli.backup_keep.click.prompt", lambda *_, **__: text)
    said = home.call("key recovery", "--prove")
    assert (said.code, "opens the repository" in said.out) == (0, True)
    assert home.repository.config.id in json.loads((home.password.parent / STATES).read_text())
    assert "proved: the paper opens the repository" in home.call("sheet").out


def test_who_is_not_root_has_the_agent_do_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def stream(_: object, __: str, request: dict[str, object], **___: object) -> object:
        asked.append(request)
        raise Unreachable("nobody answers")

    monkeypatch.setattr("agent.cli.backup_told.stream", stream)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert home.call("prove", "--full").code == 69
    assert asked[0]["arguments"] == {"step": "full"}
