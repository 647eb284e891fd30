"""A restart is not a clone; an instance that comes back is."""

from console.instances import Instances


def test_restarts_are_not_duplicates_and_a_return_is() -> None:
    instances = Instances()
    assert not any(instances.is_duplicate("a", instance) for instance in ("1", "1", "2", "3", "3"))
    assert instances.is_duplicate("a", "2")
    assert instances.is_duplicate("a", "3")
    assert not instances.is_duplicate("b", "2")


def test_only_a_few_are_remembered() -> None:
    instances = Instances()
    for number in range(100):
        assert not instances.is_duplicate("a", str(number))
    assert not instances.is_duplicate("a", "1")
