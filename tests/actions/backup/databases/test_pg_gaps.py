"""What a role cannot read is said with names and the statement that mends it."""

from actions.backup.databases.pg_gaps import ClusterGaps, DatabaseGaps

NONE = DatabaseGaps(role="me", schemas=[], tables=[], secured=[], foreign_tables=[], large_objects=0, user_mappings=0)


def test_a_role_that_sees_all_has_no_gaps() -> None:
    assert [*NONE.loud("x"), *NONE.silent("x"), *ClusterGaps(role="me", passwords=True).blind("x")] == []


def test_each_gap_is_named_with_what_mends_it() -> None:
    gaps = DatabaseGaps(
        role='o"dd', schemas=["hidden"], tables=[f"public.t{n}" for n in range(7)], secured=["public.s"], foreign_tables=["public.f"],
        large_objects=3, user_mappings=2,
    )  # fmt: skip
    tables, rows, objects = gaps.loud("pg/shop")
    assert tables.what == "7 tables and sequences and 1 schemas of pg/shop"
    assert tables.detail == "public.t0, public.t1, public.t2, public.t3, public.t4 and 3 more"
    assert tables.fix == 'As a superuser: GRANT pg_read_all_data TO "o""dd";'
    assert "BYPASSRLS" in rows.fix
    assert objects.what == "3 large objects of pg/shop"
    mappings, foreign = gaps.silent("pg/shop")
    assert "up to 2 user mappings" in mappings.what
    assert "public.f" in foreign.detail
    (passwords,) = ClusterGaps(role="me", passwords=False).blind("pg")
    assert "pg_authid" in passwords.fix
