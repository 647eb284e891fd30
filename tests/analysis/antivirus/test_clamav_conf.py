"""Configurations of ClamAV are read as ClamAV reads them."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.antivirus import clamav_conf

TEXT = """# a comment
LocalSocket /run/clamav/clamd.ctl
tcpsocket 3310
TCPAddr 0.0.0.0
TCPAddr ::1
MaxFileSize 25M
StreamMaxLength 10m
AlertExceedsMax true
UpdateLogFile "/var/log/a b.log"
"""


def test_names_count_whatever_their_case_and_may_stand_several_times():
    conf = clamav_conf.parse(TEXT)
    assert conf.text("updatelogfile") == "/var/log/a b.log"
    assert clamav_conf.addresses(conf) == ("unix:/run/clamav/clamd.ctl", "tcp:127.0.0.1:3310", "tcp:::1:3310")


def test_limits_are_those_configured_and_elsewhere_the_defaults():
    limits = clamav_conf.limits(clamav_conf.parse(TEXT))
    assert (limits.file_bytes, limits.stream_bytes, limits.scan_bytes) == (25 << 20, 10 << 20, 400 << 20)
    assert limits.known and limits.alerts
    assert not clamav_conf.limits(clamav_conf.parse("")).alerts


@given(st.text(max_size=200))
def test_any_text_is_a_configuration(text):
    conf = clamav_conf.parse(text)
    clamav_conf.limits(conf)
    clamav_conf.addresses(conf)
