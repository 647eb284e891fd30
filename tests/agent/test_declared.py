"""What is declared is a row while it is declared, and none otherwise."""

from agent.declared import declare
from contracts.policy import Policy, Service, digest
from contracts.snapshot import EncodedChanges, decode
from contracts.subjects.policy import KEY, SUBJECT, Declared


class Store:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.revision = 0

    def rows(self, subject: str) -> dict[str, bytes]:
        assert subject == SUBJECT
        return dict(self.kept)

    def apply(self, subject: str, changes: EncodedChanges, at_ms: int) -> int:
        self.kept = {key: row for key, row in {**self.kept, **changes.put}.items() if key not in changes.removed}
        self.revision += 1
        return self.revision


POLICY = Policy(services={"ssh": Service(ports=("22",))})


def test_a_declared_policy_is_one_row() -> None:
    store = Store()
    assert declare(store, POLICY, 1)
    assert decode(store.kept, Declared)[KEY] == Declared(policy=POLICY, digest=digest(POLICY))


def test_the_same_policy_again_changes_nothing() -> None:
    store = Store()
    declare(store, POLICY, 1)
    assert not declare(store, POLICY, 2)
    assert store.revision == 1


def test_a_policy_that_is_no_longer_declared_is_gone() -> None:
    store = Store()
    assert not declare(store, Policy(), 1)
    declare(store, POLICY, 2)
    assert declare(store, Policy(), 3)
    assert store.kept == {}
