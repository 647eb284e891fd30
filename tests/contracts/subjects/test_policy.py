"""The subject `policy` travels as it is."""

import msgspec

from contracts.policy import Policy, Service, digest
from contracts.subjects.policy import Declared


def test_a_declared_policy_comes_back_as_it_was_sent() -> None:
    policy = Policy(services={"ssh": Service(ports=("22",), sources=("192.0.2.0/24",))})
    row = Declared(policy=policy, digest=digest(policy))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Declared) == row
