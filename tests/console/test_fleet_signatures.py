"""The newest of the fleet is the highest version whose signature a host has verified."""

import msgspec

from console.fleet_signatures import FleetSignatures
from contracts.subjects.antivirus import Database, Product
from contracts.wire import Ack, SubjectPart


def part(version, signed="verified", subject="antivirus"):
    databases = (Database(name="daily", form="cvd", version=version, signed=signed),)
    row = msgspec.json.encode(Product(name="clamav", provider="clamav", databases=databases))
    return SubjectPart(subject=subject, base=0, revision=1, put={"clamav": row})


def test_the_highest_verified_version_is_kept():
    known = FleetSignatures()
    known.take([part(5)])
    known.take([part(3), part(9, signed="unsigned"), part(9, subject="ports")])
    assert known.newest == {"clamav": 5}
    known.take([part(7)])
    assert known.newest == {"clamav": 7}


def test_what_is_not_understood_or_absurd_says_nothing():
    known = FleetSignatures()
    known.take([SubjectPart(subject="antivirus", base=0, revision=1, put={"clamav": b'{"new":1}'}), part(1 << 40)])
    assert known.newest == {}


def test_an_acknowledgement_without_news_is_as_it_was():
    assert b"newest" not in msgspec.msgpack.encode(Ack(lanes={}, subjects={}, now_ms=1))
