"""A folder of YARA rules: compiled anew when it changes, broken ones named, nothing loaded without rules."""

import subprocess
import sys
from pathlib import Path

from collectors.integrity.yara_rules import YaraRules
from contracts.errors import Why

RULE = 'rule r { strings: $a = "needle" condition: $a }'


def test_rules_are_found_by_file_and_name(tmp_path: Path) -> None:
    (tmp_path / "one.yar").write_text(RULE)
    (tmp_path / "two.yara").write_text(RULE + "\nrule s { condition: filesize < 3 }")
    (tmp_path / "notes.txt").write_text("not a rule")
    rules = YaraRules(str(tmp_path))
    assert rules.matching(b"a needle") == ["one:r", "two:r"] and rules.blind == ()
    assert rules.matching(b"-") == ["two:s"]


def test_a_rule_that_comes_later_counts_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.yar").write_text(RULE)
    rules = YaraRules(str(tmp_path))
    assert rules.matching(b"later") == []
    (tmp_path / "new.yar").write_text(RULE.replace("needle", "later"))
    assert rules.matching(b"later") == ["new:r"]


def test_a_broken_file_is_named_and_the_others_are_used(tmp_path: Path) -> None:
    (tmp_path / "good.yar").write_text(RULE)
    (tmp_path / "bad.yar").write_text("rule {")
    rules = YaraRules(str(tmp_path))
    assert rules.matching(b"needle") == ["good:r"]
    (spot,) = rules.blind
    assert spot.why is Why.MALFORMED and "bad.yar" in spot.detail


def test_no_folder_and_no_rules_are_told(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        rules = YaraRules(str(folder))
        assert rules.matching(b"x") == [] and rules.blind[0].why is Why.NOT_PRESENT


def test_nothing_is_loaded_before_there_are_rules(tmp_path: Path) -> None:
    code = (
        "import sys; from collectors.integrity.webshell import WebShells; from collectors.integrity.yara_rules import YaraRules;"
        f"YaraRules({str(tmp_path)!r}).matching(b'x'); print('yara_x' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_where_memory_may_not_be_made_executable_that_is_told(tmp_path: Path) -> None:
    """As under MemoryDenyWriteExecute=yes: the kernel's own switch for it (prctl PR_SET_MDWE)."""
    (tmp_path / "one.yar").write_text(RULE)
    code = (
        "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0\n"
        "from collectors.integrity.yara_rules import YaraRules\n"
        f"rules = YaraRules({str(tmp_path)!r})\n"
        "print(rules.matching(b'needle'), rules.blind[0].why, rules.blind[0].fix)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] permission Allow it for this worker: MemoryDenyWriteExecute=no")
