from collectors.traffic.protocols.http.body import Body


def test_a_body_shows_when_enough_is_there_then_by_windows_then_whole() -> None:
    body = Body(100, 40, 20, False)
    shown = []
    for _ in range(9):
        body.add(b"x" * 10)
        body.advance()
        shown.append(len(body.seen()))
    assert shown == [0, 0, 0, 40, 40, 60, 60, 80, 80]
    body.whole = True
    assert body.advance() and len(body.seen()) == 90


def test_an_eager_body_shows_at_once_and_no_body_grows_beyond_its_limit() -> None:
    body = Body(100, 40, 20, True)
    body.add(b"x")
    assert body.advance() and body.seen() == b"x"
    body.add(b"y" * 500)
    assert (len(body.seen()), body.size, body.wire) == (100, 501, 501)
