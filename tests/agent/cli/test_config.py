"""`check-config` and `config` say what is in effect, where it came from, and what is wrong."""

import json
from pathlib import Path

import pytest

from agent import command, wiring
from agent.settings import Vocabulary, compose
from contracts.options import CollectorOptions

VOCABULARY = Vocabulary(settings=compose({"ports": CollectorOptions}, {}), kinds={}, actions={})


@pytest.fixture(autouse=True)
def small_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "vocabulary", lambda: VOCABULARY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text("collectors:\n  ports:\n    every: 2m\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = command.run(list(arguments))
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_right_file_passes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check-config", "-c", str(file)) == (0, f"{file}: nothing wrong\n", "")
    assert run(capsys, "check-config", "--quiet", "-c", str(file)) == (0, "", "")
    assert run(capsys, "check-config", "--json", "-c", str(file)) == (0, "[]\n", "")


def test_a_wrong_file_is_refused_with_every_finding(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("heartbeet: {}\ncollectors:\n  ports:\n    every: abc\n")
    code, out, err = run(capsys, "check-config", "-c", str(file))
    assert (code, out) == (78, "")
    assert err == (
        f'{file}:1:1: heartbeet: unknown setting; did you mean "heartbeat"?\n'
        f'{file}:4:12: collectors.ports.every: "abc" is not a duration; write 30s, 5m or 1h\n'
    )
    code, out, _ = run(capsys, "check-config", "--json", "-c", str(file))
    assert code == 78
    assert [(item["line"], item["path"]) for item in json.loads(out)] == [
        (1, "heartbeet"),
        (4, "collectors.ports.every"),
    ]


def test_a_missing_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check-config", "-c", str(tmp_path / "none.yaml"))
    assert code == 78
    assert err.count("\n") == 1
    assert "cannot be read: no such file or directory" in err


def test_show_tells_values_and_their_origin(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "config", "show", "--origin", "-c", str(file))
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["collectors.ports.every:", "2m", "#", f"{file}:3:12"] in lines
    assert ["heartbeat.every:", "30s", "#", "default"] in lines
    _, out, _ = run(capsys, "config", "show", "-c", str(file))
    assert "collectors.ports.every: 2m\n" in out


def test_show_speaks_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "config", "show", "--json", "-c", str(file))
    rows = {row["setting"]: row for row in json.loads(out)}
    assert rows["collectors.ports.every"] == {
        "setting": "collectors.ports.every",
        "value": "2m",
        "origin": f"{file}:3:12",
    }


def test_the_sample_passes_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "config", "sample")
    (tmp_path / "agent.yaml").write_text(out)
    assert run(capsys, "check-config", "-c", str(tmp_path / "agent.yaml"))[0] == 0


def test_schema_and_reference_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capsys, "config", "schema")[1])["$schema"].endswith("2020-12/schema")
    assert run(capsys, "config", "reference")[1].startswith("# Settings of the agent\n")
