"""authorized_keys: keys by fingerprint, with what they may do."""

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.authorized_keys import explain, parse
from contracts.event import Severity

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKv0PGZ8JvD3f0gX0hE1p0dV2sJ4kYc3Wz7z6H8m3Q1b"


def test_a_new_key_is_grave_and_named_by_its_fingerprint() -> None:
    (one,) = explain("", f"{KEY} eve@laptop\n")
    assert one.text.startswith("a key may log in: ssh-ed25519 SHA256:") and "(eve@laptop)" in one.text
    assert one.attack == ("T1098.004",) and one.severity is Severity.HIGH
    assert "AAAAC3" not in one.text


def test_the_fingerprint_is_ssh_keygens(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    told = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], capture_output=True, text=True, check=True).stdout
    (found,) = parse(Path(f"{path}.pub").read_text())
    assert found == f"ssh-ed25519 {told.split()[1]}"


def test_options_that_went_are_grave_and_a_comment_alone_is_none() -> None:
    limited = f'command="/bin/x y",no-pty {KEY} a\n'
    (one,) = explain(limited, f"{KEY} a\n")
    assert one.text.endswith('may do: command="/bin/x y",no-pty -> everything') and one.severity is Severity.HIGH
    assert explain(f"{KEY} a\n", f"# note\n{KEY} b\n") == []


def test_an_authority_is_told_apart_and_a_key_that_went() -> None:
    assert explain("", f"cert-authority {KEY}\n")[0].text.startswith("an authority whose certificates")
    assert explain(f"{KEY} a\n", "")[0].severity is Severity.LOW


def test_a_key_that_stands_once_more_without_its_limits_may_do_everything() -> None:
    limited = f'command="/bin/x" {KEY} a\n'
    for new in (f"{KEY}\n{limited}", f"{limited}{KEY}\n"):
        (one,) = explain(limited, new)
        assert one.text.endswith('may do: command="/bin/x" -> everything') and one.severity is Severity.HIGH
    assert explain(limited, limited * 2) == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert explain(old, old) == []
    explain(old, new)
