"""What SQL implementations share: text that every database takes, agents noticed from other processes."""

from typing import Any

from console.store.database import MAX_TEXT, clean

A = "a" * 32


def test_text_is_bounded_and_without_nul() -> None:
    assert clean("a\0b") == "a\\x00b"
    assert len(clean("x" * 5000)) == MAX_TEXT


def test_an_agent_revoked_by_another_process_is_refused_at_once(tried: Any, facts: Any, beat: Any) -> None:
    from contracts.wire import Batch

    tried.admit(A, facts=facts())
    batch = Batch(agent=A, heartbeat=beat())
    assert not hasattr(tried.do(tried.store.append(A, batch, 1000)), "status")
    other = tried._make(tried._folder)
    assert tried.do(other.revoke_agent(A, 2000))
    tried.do(other.close())
    assert tried.do(tried.store.append(A, batch, 3000)).status == 403
