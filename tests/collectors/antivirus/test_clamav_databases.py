"""Databases on the disk: whole, broken, signed wrongly, of third parties."""

import pytest

from tests import clamav_lab


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda raw: raw[:300], "within its header"),
        (lambda raw: raw[:-10], "half-written"),
        (lambda raw: raw[:600] + bytes([raw[600] ^ 1]) + raw[601:], "half-written, or changed"),
        (lambda raw: b"rubbish" * 200, "does not begin like"),
        (lambda raw: b"", "within its header"),
    ],
    ids=["half a header", "half-written", "changed", "rubbish", "empty"],
)
def test_a_broken_database_is_named_and_does_not_count(look, lab, damage, says):
    raw = clamav_lab.database(27009)
    (lab.databases / "daily.cud").write_bytes(damage(raw))
    row = look()
    assert says in row.databases[0].flaw
    assert (row.version, row.built_ms) == (-1, 0), "what is broken says nothing of freshness"
    (lab.databases / "daily.cud").write_bytes(raw)
    assert look().version == 27009, "and is read again once it is whole"


def test_a_wrong_digital_signature_is_told_by_sigtool(look, lab):
    raw = clamav_lab.database(27009).replace(b":X:tests", b":iVBORw0KGgo:tests", 1)
    (lab.databases / "main.cvd").write_bytes(raw[:512].rstrip().ljust(512) + raw[len(raw[:512]) + 10 :])
    main = next(each for each in look().databases if each.name == "main")
    assert main.signed == "bad"


def test_third_party_and_allowing_databases_are_listed(look, lab):
    for name in ("local.hdb", "rules.yar", "sanesecurity.ldb", "allow.fp", "notes.txt", "bad\nname.ndb"):
        (lab.databases / name).write_text("x")
    names = {f"{each.name}.{each.form}" for each in look().databases}
    assert names == {"daily.cud", "local.hdb", "rules.yar", "sanesecurity.ldb", "allow.fp", "bad\nname.ndb"}
    assert {event.fields["state"] for event in look.events} == {"unsigned"}
