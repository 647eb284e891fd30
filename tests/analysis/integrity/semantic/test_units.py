"""Units of systemd: what runs, and which protections go."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.units import explain, parse
from contracts.event import Severity


def test_what_a_new_service_runs_is_grave() -> None:
    said = {
        one.text: one for one in explain("", "[Service]\nExecStart=/tmp/x\n[Install]\nWantedBy=multi-user.target\n")
    }
    assert said["ExecStart not set -> /tmp/x"].attack == ("T1543.002",)
    assert said["ExecStart not set -> /tmp/x"].severity is Severity.HIGH
    assert said["WantedBy not set -> multi-user.target"].severity is Severity.LOW


def test_a_drop_in_that_clears_first_says_so() -> None:
    assert parse("[Service]\nExecStart=\nExecStart=/bin/sh \\\n -c x\n") == {
        "Service.ExecStart": "(cleared) ; /bin/sh -c x"
    }


def test_a_preloaded_library_is_grave_and_other_variables_show_no_value() -> None:
    (one,) = explain("", "[Service]\nEnvironment=LD_PRELOAD=/tmp/x.so\n")
    assert one.severity is Severity.HIGH and one.attack == ("T1574.006",)
    (one,) = explain("", '[Service]\nEnvironment="TOKEN=hunter2"\n')
    assert one.text == "Environment not set -> TOKEN"


def test_a_protection_that_went_and_a_timer() -> None:
    (one,) = explain("[Service]\nNoNewPrivileges=yes\n", "[Service]\n")
    assert one.text == "NoNewPrivileges yes -> not set" and one.severity is Severity.MEDIUM
    (one,) = explain("[Timer]\nOnCalendar=daily\n", "[Timer]\nOnCalendar=hourly\n")
    assert one.attack == ("T1053.006",)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert explain(old, old) == []
    explain(old, new)
