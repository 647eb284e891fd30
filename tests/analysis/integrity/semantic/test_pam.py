"""PAM stacks: lines that came, went, or changed places."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.pam import explain
from contracts.event import Severity

STACK = "auth required pam_unix.so\naccount required pam_unix.so\n"


def test_a_module_that_lets_everybody_in_is_grave() -> None:
    (one,) = explain(STACK, "auth sufficient pam_permit.so\n" + STACK)
    assert one.text == "PAM now asks pam_permit.so for auth (sufficient) (lets everybody in)"
    assert one.attack == ("T1556.003",) and one.severity is Severity.HIGH


def test_a_program_a_module_elsewhere_and_nullok_are_grave() -> None:
    for line in (
        "session optional pam_exec.so /tmp/x",
        "auth required /tmp/pam_x.so",
        "auth required pam_unix.so nullok",
    ):
        (one,) = explain("", line + "\n")
        assert one.severity is Severity.HIGH, line
    (one,) = explain("", "auth required /lib/x86_64-linux-gnu/security/pam_unix.so\n")
    assert one.severity is Severity.MEDIUM


def test_order_alone_is_a_change_and_layout_is_none() -> None:
    lines = STACK.splitlines(keepends=True)
    assert [one.text for one in explain(STACK, "".join(reversed(lines)))] == ["the order of PAM's modules changed"]
    assert explain(STACK, "# note\n\nauth   required\tpam_unix.so\naccount required pam_unix.so  # x\n") == []


def test_a_check_that_went() -> None:
    (one,) = explain("auth required pam_faillock.so preauth\n", "")
    assert one.text == "PAM no longer asks pam_faillock.so for auth"


def test_a_line_that_changed_is_one_sentence_and_grave_where_a_failure_passes() -> None:
    old = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n"
    (one,) = explain(old, old.replace("default=ignore", "default=1"))
    assert one.text == (
        "PAM's pam_unix.so for auth: ([success=1 default=ignore]) nullok -> ([success=1 default=1]) nullok (goes on where it fails)"
    )
    assert one.severity is Severity.HIGH
    (one,) = explain("auth required pam_unix.so\n", "auth sufficient pam_unix.so\n")
    assert one.severity is Severity.MEDIUM


def test_permission_by_a_control_in_brackets_and_a_refusal_that_went_are_grave() -> None:
    (one,) = explain("", "auth [success=done default=ignore] pam_permit.so\n")
    assert one.text.endswith("(lets everybody in)") and one.severity is Severity.HIGH
    (one,) = explain("auth requisite pam_deny.so\n", "")
    assert one.text.endswith("(nothing refuses any more)") and one.severity is Severity.HIGH


def test_a_line_that_stands_twice_now_is_told() -> None:
    assert [one.text for one in explain(STACK, STACK + "account required pam_unix.so\n")] == [
        "PAM now asks pam_unix.so for account (required)"
    ]


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert explain(old, old) == []
    explain(old, new)
