"""Which format a path is of, and what may be shown of a change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.semantic.explain import MOST_BYTES, SHOWN_LETTERS, explain, format_of, text_diff


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/etc/ssh/sshd_config", "sshd_config"),
        (b"/etc/ssh/sshd_config.d/50-x.conf", "sshd_config"),
        (b"/etc/sudoers.d/ops", "sudoers"),
        (b"/etc/shadow", "shadow"),
        (b"/etc/gshadow", "group"),
        (b"/etc/cron.d/x", "crontab"),
        (b"/var/spool/cron/crontabs/root", "crontab"),
        (b"/etc/systemd/system/a.service", "unit"),
        (b"/etc/systemd/system/a.service.d/x.conf", "unit"),
        (b"/home/eve/.config/systemd/user/x.timer", "unit"),
        (b"/home/eve/.local/share/systemd/user/x.service", "unit"),
        (b"/srv/homes/bob/.config/systemd/user/x.service", "unit"),
        (b"/etc/xdg/systemd/user/x.service", "unit"),
        (b"/etc/anacrontab", "crontab"),
        (b"/etc/pam.d/sshd", "pam"),
        (b"/etc/nginx/sites-enabled/default", "nginx"),
        (b"/etc/apache2/sites-available/x.conf", "apache"),
        (b"/srv/www/.htaccess", "apache"),
        (b"/etc/nftables.conf", "nftables"),
        (b"/root/.ssh/authorized_keys", "authorized_keys"),
        (b"/etc/ld.so.preload", "ld.so.preload"),
    ],
)
def test_a_format_is_known_by_its_path(path: bytes, name: str) -> None:
    found = format_of(path)
    assert found is not None and found[0] == name


def test_an_unknown_format_is_shown_by_its_lines() -> None:
    found = explain(b"/etc/motd", b"a\nb\n", b"a\nc\n")
    assert (found.format, found.sentences, found.diff) == ("", (), "-b\n+c")


def test_under_no_diff_nothing_of_the_content_shows() -> None:
    assert explain(b"/etc/app.conf", b"password=1", b"password=2", no_diff=True).diff == ""
    assert explain(b"/etc/cron.d/x", b"", b"* * * * * root x --password y\n", no_diff=True).sentences == ()
    assert explain(b"/etc/shadow", b"a:$6$s$h:::", b"a:!:::", no_diff=True).sentences != ()


def test_of_shadow_no_line_is_ever_shown() -> None:
    assert explain(b"/etc/shadow", b"a:$6$s$h:1\nb:c:1\n", b"b:c:1\na:$6$s$h:1\n").diff == ""


def test_a_known_format_whose_meaning_did_not_change_shows_its_lines() -> None:
    assert explain(b"/etc/ssh/sshd_config", b"# a\n", b"# b\n").diff == "-# a\n+# b"


def test_what_is_too_large_or_no_text_is_not_read() -> None:
    for content in (b"\0", b"x" * (MOST_BYTES + 1)):
        assert explain(b"/etc/motd", b"", content).diff == ""


@given(st.text(max_size=20000), st.text(max_size=20000))
def test_a_text_diff_is_bounded(old: str, new: str) -> None:
    assert len(text_diff(old, new)) < SHOWN_LETTERS + 100


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([b"/etc/passwd", b"/etc/sudoers", b"/etc/x"]))
def test_any_bytes_are_explained(old: bytes, new: bytes, path: bytes) -> None:
    explain(path, old, new)
