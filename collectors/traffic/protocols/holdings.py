"""What conversations hold of what has not ended: added up when enough has come, made small, and cut where the account says so."""

from typing import Final

from collectors.traffic.protocols.account import Account, Holding, most_held, victims
from collectors.traffic.protocols.news import Transaction
from collectors.traffic.protocols.talk import Talk

LEAST: Final = 1_024
"""What holds less is not worth cutting."""
MOST_NAMED: Final = 5


class Holdings:
    """Follows what `talks` hold, by slot. `stopped` are those of which something is let go of once rules have seen it."""

    def __init__(self, account: Account, talks: dict[int, Talk]) -> None:
        self.stopped: dict[int, list[tuple[Transaction, bool]]] = {}
        self._account = account
        self._talks = talks
        self._marked: list[int] = []

    def mark(self, talk: Talk, time_ns: int) -> None:
        """Note that a conversation may hold more than before, or less."""
        talk.marked = True
        if not talk.held:
            talk.since_ns = time_ns
        self._marked.append(talk.conversation.slot)

    def relieve(self) -> None:
        """Add up what there is; what came lately is made small where there is much of it. Nothing is lost."""
        marked, self._marked = self._marked, []
        for slot in marked:
            if (talk := self._talks.get(slot)) is not None:
                talk.marked = False
                self._weigh(talk)
        if not self._account.easy:
            for slot in marked:
                if (talk := self._talks.get(slot)) is not None:
                    self._shrink(talk)
        self._account.looked()

    def review(self, now_ns: int, gone: list[int]) -> None:
        """At the end of a block: do what `relieve` does, and cut where that is not enough.

        Flows that are `gone` give back all by themselves.
        """
        account = self._account
        self.relieve()
        if account.total <= account.budget:
            return
        for talk in self._talks.values():
            self._shrink(talk)
        left = {slot: talk for slot, talk in self._talks.items() if talk.held >= LEAST}
        over = account.total - account.target
        for slot in gone:
            if slot in left:
                over -= left.pop(slot).held
        if over > account.budget - account.target:
            self._cut(left, over, now_ns)
        account.looked()
        account.over = False

    def drop(self) -> None:
        """Let go of what was stopped: rules have seen it."""
        for slot in self.stopped:
            talk = self._talks.get(slot)
            if talk is not None:
                if talk.parser is not None:
                    talk.parser.drop()
                before = talk.held
                self._weigh(talk)
                self._account.cut_bytes += max(0, before - talk.held)
        self.stopped = {}

    def _weigh(self, talk: Talk) -> None:
        size = talk.size()
        self._account.total += size - talk.held
        talk.held = size

    def _shrink(self, talk: Talk) -> None:
        if talk.held > LEAST and talk.parser is not None:
            talk.parser.shrink()
            self._weigh(talk)

    def _cut(self, talks: dict[int, Talk], over: int, now_ns: int) -> None:
        account = self._account
        holdings = [Holding(slot, talk.ends(), talk.since_ns, talk.held) for slot, talk in talks.items()]
        account.most = most_held(holdings, MOST_NAMED)
        for one in victims(holdings, over, now_ns):
            talk = talks[one.slot]
            account.cut += 1
            told = talk.parser.stop() if talk.parser is not None else []
            if not told:
                # It cannot do without what it holds: it is read no further.
                account.left += 1
                told = [(tx, side) for tx in talk.conversation.transactions for side in (False, True)]
                for transaction in talk.conversation.transactions:
                    transaction.done = True
                talk.leave()
            self.stopped[one.slot] = told
