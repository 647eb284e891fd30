"""Takes from an iterator in a thread of its own, a bounded bit ahead of whoever works on what it gives."""

import threading
from collections import deque
from collections.abc import Generator, Iterator

from actions.backup.stores.store import Buffer


def ahead(pieces: Iterator[Buffer], most: int) -> Generator[Buffer, None, None]:
    """The same pieces in the same order, while a thread takes up to `most` bytes more than were asked for.

    An error of `pieces` is raised in its place. Closing the generator ends the thread before it returns.
    """
    waiting: deque[Buffer] = deque()
    state = threading.Condition()
    held = 0
    over = False
    error: BaseException | None = None

    def take() -> None:
        nonlocal held, over, error
        try:
            for piece in pieces:
                with state:
                    while held >= most and not over:
                        state.wait()
                    if over:
                        return
                    waiting.append(piece)
                    held += len(piece)
                    state.notify_all()
        except BaseException as found:  # noqa: BLE001 (raised in the other thread)
            error = found
        finally:
            with state:
                over = True
                state.notify_all()

    thread = threading.Thread(target=take, name="backup-reader", daemon=True)
    thread.start()
    try:
        while True:
            with state:
                while not waiting and not over:
                    state.wait()
                if not waiting:
                    break
                piece = waiting.popleft()
                held -= len(piece)
                state.notify_all()
            yield piece
            del piece  # its memory is used again
        if error is not None:
            raise error
    finally:
        with state:
            over = True
            state.notify_all()
        thread.join()
