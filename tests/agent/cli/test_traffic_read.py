"""`holdfast traffic read`: alerts as EVE lines, on standard output or in a file, and what is wrong with files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.traffic import traffic
from agent.cli.traffic_read import NotACapture
from agent.command import run
from contracts.errors import HoldfastError
from tests.collectors.traffic.detectors.crowd import segment
from tests.collectors.traffic.rules.engine import scene

HIT = 'alert udp any any -> any any (content:"needle"; sid:5;)\n'


def _files(folder: Path, text: str = HIT) -> tuple[str, str]:
    capture, rules = folder / "a.pcap", folder / "a.rules"
    capture.write_bytes(scene.capture([scene.udp(b"a needle"), scene.udp(b"hay")]).getvalue())
    rules.write_text(text)
    return str(capture), str(rules)


def test_alerts_are_lines_on_standard_output(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules])
    assert result.exit_code == 0, result.output
    (found,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (found["alert"]["signature_id"], found["pcap_cnt"]) == (5, 1)


def test_alerts_go_to_a_file_when_told_to(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    out = tmp_path / "eve.json"
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules, "--eve", str(out)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(out.read_text())["alert"]["signature_id"] == 5


def test_a_rule_that_does_not_load_is_named_and_the_others_run(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path, HIT + "alert udp any any -> any any (no_such_keyword; sid:6;)\n")
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules])
    assert len(result.stdout.splitlines()) == 1
    assert "not loaded" in result.stderr and "a.rules:2" in result.stderr


def test_a_capture_that_is_cut_is_named(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    Path(capture).write_bytes(Path(capture).read_bytes()[:-3])
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules])
    assert len(result.stdout.splitlines()) == 1
    assert f"{capture}: " in result.stderr


def test_ips_makes_drop_rules_block(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path, HIT.replace("alert", "drop"))
    found = [
        json.loads(CliRunner().invoke(traffic, ["read", capture, "--rules", rules, *more]).stdout)["alert"]["action"]
        for more in ([], ["--ips"])
    ]
    assert found == ["allowed", "blocked"]


def test_rules_that_are_no_text_are_an_error_with_its_reason(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    Path(rules).write_bytes(b"\x7fELF\0\0")
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules])
    assert result.exit_code != 0 and isinstance(result.exception, HoldfastError)
    assert "not text" in str(result.exception)


def test_variables_and_a_threshold_config_are_applied(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path, 'alert udp $HOME_NET any -> any any (content:"needle"; sid:5;)\n')
    quiet = tmp_path / "threshold.config"

    def alerts(*more: str) -> int:
        result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules, *more])
        assert result.exit_code == 0, result.output
        return len(result.stdout.splitlines())

    assert alerts("--var", "HOME_NET=any") == 1 and alerts("--var", "HOME_NET=203.0.113.0/24") == 0
    quiet.write_text("suppress gen_id 1, sig_id 5\n")
    assert alerts("--var", "HOME_NET=any", "--thresholds", str(quiet)) == 0
    quiet.write_text("suppress gen_id 1\n")
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules, "--thresholds", str(quiet)])
    assert isinstance(result.exception, HoldfastError) and f"{quiet}:1: " in str(result.exception)


def test_what_is_no_capture_is_named(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    Path(capture).write_bytes(b"root:x:0:0")
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules])
    assert isinstance(result.exception, HoldfastError) and capture in str(result.exception)


def _scan(folder: Path) -> str:
    tries = [segment("203.0.113.9", "10.0.0.10", 40_000, port, 2, 5) for port in range(100, 140)]
    refused = [segment("10.0.0.10", "203.0.113.9", port, 40_000, 20, 0, 6) for port in range(100, 140)]
    capture = folder / "scan.pcap"
    capture.write_bytes(scene.capture([*tries, *refused]).getvalue())
    return str(capture)


def test_behaviour_is_told_to_people_when_no_rules_are_given(tmp_path: Path) -> None:
    result = CliRunner().invoke(traffic, ["read", _scan(tmp_path), "--detect", "--checksums", "ignore"])
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    assert "Port scan (syn) of 10.0.0.10 by 203.0.113.9: 40 ports (limit 20)" in line
    assert line.endswith("[sender may be forged]")


def test_behaviour_is_eve_beside_alerts_or_when_asked_for(tmp_path: Path) -> None:
    capture = _scan(tmp_path)
    rules = tmp_path / "a.rules"
    rules.write_text("alert tcp any any -> any 120 (flags:S; sid:7;)\n")
    both = CliRunner().invoke(traffic, ["read", capture, "--detect", "--rules", str(rules), "--checksums", "ignore"])
    gids = [json.loads(line)["alert"]["gid"] for line in both.stdout.splitlines()]
    assert sorted(gids) == [1, 4100]
    alone = CliRunner().invoke(traffic, ["read", capture, "--detect", "--eve", "-", "--checksums", "ignore"])
    assert [json.loads(line)["holdfast"]["kind"] for line in alone.stdout.splitlines()] == ["traffic.ports_scanned"]


def test_neither_rules_nor_behaviour_is_nothing_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(traffic, ["read", _scan(tmp_path)])
    assert result.exit_code == 2 and "--detect" in result.output


def test_a_network_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    result = CliRunner().invoke(traffic, ["read", _scan(tmp_path), "--detect", "--home", "ten"])
    assert result.exit_code == 2 and "--home" in result.output and "192.0.2.0/24" in result.output


def test_a_capture_comes_over_standard_input_too(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    result = CliRunner().invoke(traffic, ["read", "-", "--rules", rules], input=Path(capture).read_bytes())
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    (tmp_path / "other-name.pcap").hardlink_to(capture)
    for target in (capture, rules, str(tmp_path / "other-name.pcap")):
        before = Path(target).read_bytes()
        result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules, "--eve", target])
        assert isinstance(result.exception, HoldfastError) and "would write over what is read" in str(result.exception)
        assert Path(target).read_bytes() == before


def test_that_no_rule_loads_is_said(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path, "# nothing\n")
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no rule loads" in result.stderr


def test_reputations_of_addresses_are_asked_and_lines_that_say_nothing_are_named(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path, "alert udp any any -> any any (iprep:src,Bad,>,30; dsize:8; sid:7;)\n" + HIT)
    categories, scores = tmp_path / "categories.txt", tmp_path / "scores.list"
    categories.write_text("3,Bad,known to be bad\n")
    scores.write_text(f"{scene.CLIENT},3,31\nnowhere,3,1\n")
    words = ["read", capture, "--rules", rules]
    result = CliRunner().invoke(traffic, words)
    assert "no file of categories names Bad" in result.stderr and len(result.stdout.splitlines()) == 1
    words += ["--categories", str(categories), "--reputation", str(scores)]
    result = CliRunner().invoke(traffic, words)
    assert {json.loads(line)["alert"]["signature_id"] for line in result.stdout.splitlines()} == {5, 7}
    assert f"{scores}:2: 'nowhere' does not appear to be" in result.stderr
    result = CliRunner().invoke(traffic, [*words, "--eve", str(scores)])
    assert isinstance(result.exception, HoldfastError) and "write over" in str(result.exception)


def test_a_capture_of_which_nothing_could_be_looked_at_is_no_clean_one(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    content = bytearray(Path(capture).read_bytes())
    content[20:24] = b"\x7f\0\0\0"
    Path(capture).write_bytes(content)
    result = CliRunner().invoke(traffic, ["read", capture, "--rules", rules])
    assert isinstance(result.exception, NotACapture) and result.exception.exit_code == 1
    assert "link type 127" in result.stderr and result.stdout == ""


def test_a_full_disk_is_told_with_the_file_that_is_on_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capture, rules = _files(tmp_path)
    assert run(["traffic", "read", capture, "--rules", rules, "--eve", "/dev/full"]) == 74
    assert capfd.readouterr().err == "holdfast: /dev/full: no space left on device\n"


def test_a_full_disk_under_standard_output_is_told_as_such(tmp_path: Path) -> None:
    capture, rules = _files(tmp_path)
    main = [sys.executable, "-c", "from agent.command import main; main()", "traffic", "read"]
    for words in ([capture, "--rules", rules], [_scan(tmp_path), "--detect", "--checksums", "ignore"]):
        with Path("/dev/full").open("wb") as full:
            ended = subprocess.run([*main, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert ended.stderr == "holdfast: standard output: no space left on device\n"
        assert ended.returncode == 74


def test_a_capture_that_cannot_be_read_on_is_told_with_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, rules = _files(tmp_path)
    # Reading where no page is mapped is an input/output error, as from a disk that fails.
    assert run(["traffic", "read", "/proc/self/mem", "--rules", rules]) == 74
    assert "/proc/self/mem: input/output error" in capfd.readouterr().err
