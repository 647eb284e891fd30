"""sudoers: rules, defaults, aliases, inclusions and their spelling."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.sudoers import explain, parse
from contracts.event import Severity


def test_a_rule_for_everything_without_a_password_is_grave() -> None:
    (one,) = explain("", "eve ALL=(ALL:ALL) NOPASSWD: ALL\n")
    assert one.text == "eve may run without a password: (ALL:ALL) NOPASSWD: ALL"
    assert one.attack == ("T1548.003",) and one.severity is Severity.HIGH


def test_a_limited_rule_is_told_and_less_grave() -> None:
    (one,) = explain("", "%ops web1 = (root) /usr/bin/systemctl restart nginx\n")
    assert one.text == "%ops may run on web1: (root) /usr/bin/systemctl restart nginx"
    assert one.severity is Severity.MEDIUM


def test_a_rule_that_went_and_one_that_changed() -> None:
    assert explain("bob ALL=(ALL) ALL\n", "")[0].text == "bob may no longer run: (ALL) ALL"
    assert explain("bob ALL=/bin/ls\n", "bob ALL=NOPASSWD: /bin/ls\n")[0].severity is Severity.HIGH


def test_defaults_that_give_something_away_are_grave() -> None:
    said = {one.text: one.severity for one in explain("Defaults env_reset\n", "Defaults !env_reset, mail_badpass\n")}
    assert said["sudo's Defaults: env_reset -> !env_reset"] is Severity.HIGH
    assert said["sudo's Defaults: not set -> mail_badpass"] is Severity.LOW


def test_continued_lines_inclusions_and_users_by_number_are_no_comments() -> None:
    found = parse(
        "eve ALL=\\\n (ALL) ALL\n#includedir /etc/sudoers.d\n@include /tmp/x\n#1001 ALL=(ALL) ALL\n# a note\n"
    )
    assert found == {
        "rule eve ALL": "(ALL) ALL",
        "include /etc/sudoers.d": "includedir",
        "include /tmp/x": "include",
        "rule uid1001 ALL": "(ALL) ALL",
    }


def test_an_alias_is_told_by_its_members() -> None:
    (one,) = explain("Cmnd_Alias SHELLS = /bin/sh\n", "Cmnd_Alias SHELLS = /bin/sh, /bin/bash\n")
    assert one.text == "Cmnd SHELLS: /bin/sh -> /bin/sh, /bin/bash"


def test_defaults_behind_a_tab_as_debian_writes_them_are_read() -> None:
    (one,) = explain("Defaults\tenv_reset\n", "Defaults\tenv_reset\nDefaults\t!authenticate\n")
    assert (one.text, one.severity) == ("sudo's Defaults: not set -> !authenticate", Severity.HIGH)
    (one,) = explain("Defaults\tuse_pty\n", "")
    assert (one.text, one.severity) == ("sudo's Defaults: use_pty -> not set", Severity.MEDIUM)


def test_variables_that_are_let_through_add_up_and_one_that_loads_code_has_its_technique() -> None:
    old = 'Defaults env_keep += "EDITOR"\n'
    (one,) = explain(old, f'Defaults env_keep += "LD_PRELOAD"\n{old}')
    assert 'env_keep += "LD_PRELOAD"' in one.text and one.attack == ("T1548.003", "T1574.006")
    assert one.severity is Severity.HIGH


def test_a_user_by_number_is_named_as_that() -> None:
    assert explain("", "#1001 ALL=(ALL) ALL\n")[0].text == "the user of number 1001 may run: (ALL) ALL"


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_explained(old: str, new: str) -> None:
    assert explain(old, old) == []
    explain(old, new)
