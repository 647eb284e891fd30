"""Two who use one token at the same moment: one is admitted."""

from typing import Any

from console.store.records import Token


def test_one_token_admits_one_of_many_at_once(tried: Any, facts: Any, certificate: Any) -> None:
    token = Token(id="t", digest=b"d", note="", created_ms=1, created_by="x", expires_ms=10_000)
    tried.do(tried.store.add_token(token))
    works = [
        tried.store.enrol("t", certificate(f"{number:032x}", f"0{number}"), facts(), "1", 500) for number in range(8)
    ]
    assert sum(tried.together(works)) == 1
    assert len(tried.do(tried.store.agents(1))) == 1
