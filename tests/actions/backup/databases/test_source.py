"""An error of a dump says what failed, why, and the tool's own words."""

from actions.backup.databases.source import DumpFailed, Listing


def test_the_message_holds_all_three_and_says_that_trying_again_may_help() -> None:
    error = DumpFailed("pg/shop", "pg_dump ended with code 1", said="no room", advice="make room")
    assert str(error) == "pg/shop: pg_dump ended with code 1 (no room); make room"
    assert (error.exit_code, error.permanent) == (3, False)
    assert DumpFailed("a", "b").message == "a: b"


def test_a_listing_begins_empty() -> None:
    one, other = Listing(), Listing()
    one.failed.append(DumpFailed("a", "b"))
    assert other.failed == other.dumps == other.blind == []
