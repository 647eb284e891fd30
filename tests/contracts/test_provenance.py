"""The words of provenance survive being stored, and only proof counts as proof."""

import msgspec

from contracts.provenance import PROVED, Level, PackageChange, Provenance, Shipped, Transaction


def test_records_survive_being_stored() -> None:
    run = Transaction(id="1", tool="apt", started_ms=1, packages=(PackageChange(name="a", deed="install", after="1"),))
    shipped = Shipped(b"/\xff", 0o100644, content=b"\0" * 32)
    for value in (run, shipped, Provenance(level=Level.SIGNED, basis="x")):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value)) == value


def test_what_nobody_signed_is_not_proved() -> None:
    assert not PROVED & {Level.LISTED, Level.RECORDED, Level.PRODUCT, Level.NONE} and Level.SIGNED in PROVED
