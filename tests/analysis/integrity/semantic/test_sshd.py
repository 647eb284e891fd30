"""sshd_config as the daemon reads it: first value, Match blocks, repeated keywords."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.sshd import explain, parse
from contracts.event import Severity


def _texts(old: str, new: str) -> list[str]:
    return [one.text for one in explain(old, new)]


def test_root_let_in_is_said_with_its_technique_and_grave() -> None:
    (one,) = explain("PermitRootLogin no\n", "PermitRootLogin yes\n")
    assert (one.text, one.attack, one.severity) == ("PermitRootLogin no -> yes", ("T1098",), Severity.HIGH)


def test_what_was_not_set_is_told_by_its_default() -> None:
    assert _texts("", "PermitRootLogin yes\n") == ["PermitRootLogin prohibit-password (default) -> yes"]
    assert _texts("PasswordAuthentication no\n", "# PasswordAuthentication no\n") == [
        "PasswordAuthentication no -> yes (default)"
    ]


def test_the_first_value_holds_and_a_second_one_changes_nothing() -> None:
    assert _texts("PermitRootLogin no\n", "PermitRootLogin no\npermitrootlogin yes\n") == []
    assert _texts("PermitRootLogin no\n", "PermitRootLogin yes\nPermitRootLogin no\n") == ["PermitRootLogin no -> yes"]


def test_a_match_block_is_another_place() -> None:
    new = "PermitRootLogin no\nMatch Address 10.0.0.0/8\n  PermitRootLogin yes\nMatch all\nX11Forwarding yes\n"
    said = _texts("PermitRootLogin no\n", new)
    assert "PermitRootLogin no -> yes for Match Address 10.0.0.0/8" in said
    assert "X11Forwarding no (default) -> yes" in said


def test_ports_add_up_and_equal_signs_quotes_and_case_are_spelling() -> None:
    assert parse('Port 22\nport=2222\nBanner "none"\n')[""] == {"port": "22 2222", "banner": "none"}
    assert _texts("Port 22\n", "Port 22\nPort 2222\n") == ["Port 22 -> 22 2222"]
    assert _texts("Subsystem sftp /usr/lib/sftp-server\n", "Subsystem sftp /tmp/x\n")[0].startswith(
        "Subsystem sftp /usr"
    )


def test_a_block_that_says_what_everybody_has_is_told_by_that() -> None:
    old = "PasswordAuthentication no\nMatch User a\nPasswordAuthentication yes\n"
    assert _texts(old, "PasswordAuthentication no\n") == ["PasswordAuthentication yes -> no for Match User a"]
    assert _texts("", "Match User a\nPermitRootLogin yes\n")[0].startswith(
        "PermitRootLogin prohibit-password (default)"
    )


def test_who_may_log_in_and_what_is_included_have_a_technique() -> None:
    for line in ("AllowUsers bob", "HostKey /tmp/k", "Include /tmp/*.conf", "AuthenticationMethods none"):
        (one,) = explain(f"{line}\n", "")
        assert one.attack and one.severity is Severity.MEDIUM, line


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_explained_and_equal_ones_have_no_difference(old: str, new: str) -> None:
    assert explain(old, old) == []
    assert all("\n" not in one.text for one in explain(old, new))


@given(st.lists(st.sampled_from(["UsePAM yes", "# note", "", "  Port 22", "Match User a", "  PermitRootLogin no"])))
def test_comments_and_empty_lines_never_matter(lines: list[str]) -> None:
    plain = [line for line in lines if line and not line.startswith("#")]
    assert explain("\n".join(lines), "\n".join(plain)) == []
