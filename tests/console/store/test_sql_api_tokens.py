"""What is stored of a program's token."""

from console.store.records import ApiToken, Role


def test_tokens_come_back_as_they_were_stored_newest_first(tried) -> None:  # type: ignore[no-untyped-def]
    def token(number: int) -> ApiToken:
        return ApiToken(
            id=f"t{number}", digest=bytes([number]) * 32, name="p\0q", role=Role.OPERATOR, created_ms=number,
            created_by="cli:root", expires_ms=99,
        )  # fmt: skip

    for number in (1, 2):
        tried.do(tried.store.add_api_token(token(number)))
    found = tried.do(tried.store.api_tokens())
    assert [one.id for one in found] == ["t2", "t1"]
    assert found[0].role is Role.OPERATOR
    assert "\0" not in found[0].name
    tried.do(tried.store.touch_api_token("t1", 5))
    assert tried.do(tried.store.revoke_api_token("t1", 7))
    assert not tried.do(tried.store.revoke_api_token("t1", 8))
    tried.reopen()
    held = tried.do(tried.store.api_token(bytes([1]) * 32))
    assert (held.used_ms, held.revoked_ms) == (5, 7)
    assert tried.do(tried.store.api_token(b"?" * 32)) is None
