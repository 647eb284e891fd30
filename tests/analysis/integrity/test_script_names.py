"""A path is named by a script as a whole word, also through a variable that the script sets."""

import pytest

from analysis.integrity.script_names import names

SCRIPT = 'crondir="/var/spool/cron"\nkeys=/etc/keys\nchown root:crontab $crondir/crontabs\nchmod 600 ${keys}/one\n# /etc/tool.conf\n'


@pytest.mark.parametrize("path", ["/var/spool/cron/crontabs", "/etc/keys/one", "/etc/tool.conf", "/var/spool/cron"])
def test_what_a_script_names(path: str) -> None:
    assert names(SCRIPT, path)


@pytest.mark.parametrize(
    "path", ["/var/spool/cron/crontab", "/etc/keys/on", "/etc/tool", "/etc/tool.conf.d", "/etc/keys/two"]
)
def test_what_it_does_not(path: str) -> None:
    assert not names(SCRIPT, path)
