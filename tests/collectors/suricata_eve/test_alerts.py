"""Records of alerts as events."""

from collectors.suricata_eve.alerts import Home, collapsed, event
from collectors.suricata_eve.records import read

LINE = (
    b'{"timestamp":"2026-11-22T10:00:00.1+0000","event_type":"alert","src_ip":"fd00::1","dest_ip":"2001:db8::9","proto":"TCP",'
    b'"alert":{"signature_id":7,"gid":1,"rev":1,"signature":"x","severity":9}}'
)


def test_the_end_that_is_not_at_home_is_to_blame_and_rare_priorities_are_informational() -> None:
    record = read(LINE)
    assert record is not None
    made = event(record, LINE, Home(["fc00::/7"]), blocks=True, midstream=False)
    assert made.fields["offender"] == "2001:db8::9" and made.severity == 1 and made.fields["proven"] is False
    assert event(record, LINE, Home([]), blocks=True, midstream=False).fields["offender"] == "fd00::1"
    assert not Home(["10.0.0.0/8"]).has("no address")


def test_equal_events_are_one_with_their_number() -> None:
    record = read(LINE)
    assert record is not None
    made = event(record, LINE, Home([]), blocks=False, midstream=False)
    (one,), left_out = collapsed([made, made, made], 5)
    assert one.repeats == 2 and not left_out
    assert collapsed([made], 0) == ([], 1)
