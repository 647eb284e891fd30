"""`holdfast traffic rules check`: what loads, what does not, and clear words for bad paths."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.traffic import traffic
from agent.command import run
from contracts.errors import Unavailable

RULES = b'alert tcp any any -> $HOME_NET any (content:"a"; sid:1;)\nalert tcp any any -> any any (bogus; sid:2;)\n'


def called(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(traffic, ["rules", "check", *words], standalone_mode=False)
    assert done.exception is None, done.exception
    return int(done.return_value or 0), done.output


def test_what_does_not_load_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_bytes(RULES)
    code, shown = called(str(path))
    assert code == 1
    assert f'{path}:2: sid 2: "bogus" is not a keyword' in shown and "1 rule loads, 1 does not." in shown


def test_json_is_one_object(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_bytes(RULES)
    code, shown = called("--json", str(path))
    answer = json.loads(shown)
    assert code == 1 and answer["loaded"] == 1
    (refused,) = answer["refused"]
    assert set(refused) == {"file", "line", "sid", "reason"} and (refused["line"], refused["sid"]) == (2, 2)


def test_all_is_well_when_all_load(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_bytes(RULES.splitlines(keepends=True)[0])
    assert called(str(path), "--var", "HOME_NET=[10.0.0.0/8,!10.1.0.0/16]")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["none.rules"], 74, "none.rules: no such file or directory"),
        ([], 2, ""),
        (["/dev/null", "--var", "HOME_NET"], 2, "is not NAME=VALUE"),
        (["/dev/null", "--var", "HOME_NET=x"], 2, "$HOME_NET: "),
        (["/bin/ls"], 74, "not a rules file"),
        (["/dev/null", "--reputation", "none.list"], 74, "none.list: no such file or directory"),
    ],
)
def test_bad_words_and_paths_are_said_clearly(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["traffic", "rules", "check", *words]) == code
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown


def test_rules_that_could_never_match_do_not_load(tmp_path):
    path = tmp_path / "a.rules"
    path.write_text('alert smb any any -> any any (msg:"x"; smb.share; content:"IPC"; sid:2;)\n')
    code, text = called(str(path))
    assert code == 1 and "0 rules load, 1 does not." in text
    assert f"{path}:1: sid 2: nothing here fills this buffer: smb.share" in text
    refused = json.loads(called(str(path), "--json")[1])["refused"]
    assert [(one["sid"], one["line"]) for one in refused] == [(2, 1)]


def test_without_hyperscan_it_is_said_what_is_missing_and_how_it_comes(tmp_path: Path) -> None:
    (tmp_path / "hyperscan.py").write_text('raise ModuleNotFoundError("No module named hyperscan", name="hyperscan")')
    path = tmp_path / "a.rules"
    path.write_bytes(RULES)
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", "from agent.command import main; main()", "traffic", "rules", "check", str(path)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == Unavailable.exit_code, done.stderr
    assert "Traceback" not in done.stderr and "No module named hyperscan" in done.stderr
    assert "pip install 'holdfast[sensor]'" in done.stderr
