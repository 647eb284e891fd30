"""What the watcher leaves for the look at its numbers."""

import threading

from collectors.traffic import board
from contracts.subjects.traffic import Row
from host.linux import LinuxHost


def test_rows_are_those_of_now_where_the_watcher_answers_and_those_of_before_where_not() -> None:
    host = LinuxHost()
    one = board.of(host)
    assert one is board.of(host) and one is not board.of(LinuxHost())
    assert one.rows(0.01) is None and one.wanted
    answered = threading.Event()

    def watch() -> None:
        while not one.wanted:
            answered.wait(0.01)
        one.state({"rules": Row(what="rules")})

    thread = threading.Thread(target=watch)
    thread.start()
    assert one.rows(5.0) == {"rules": Row(what="rules")}
    thread.join()
    assert one.rows(0.01) == {"rules": Row(what="rules")}, "the watcher is busy"
    one.state(None)
    assert one.rows(0.01) is None
