"""The plan of a replication: only what is missing, in the order that keeps the target whole, and never a lock."""

from hypothesis import given
from hypothesis import strategies as st

from actions.backup.replication_plan import LISTING_ORDER, ORDER, Differing, Step, plan, sample
from actions.backup.stores.store import FileType, Handle

names = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6)
listings = st.dictionaries(st.sampled_from(list(FileType)), names, max_size=6)
Sizes = dict[FileType, dict[str, int]]


@given(source=listings, target=listings)
def test_a_plan_accounts_for_every_file_once(source: Sizes, target: Sizes) -> None:
    made = plan(source, target)
    copied = [step.handle for steps in made.steps.values() for step in steps]
    there = [step.handle for step in made.there]
    differing = [one.handle for one in made.differing]
    of_source = [Handle(type, name) for type in ORDER for name in source.get(type, {})]
    assert sorted(copied + there + differing) == sorted(of_source)
    strangers = {Handle(type, name) for type in ORDER for name in target.get(type, {})} - set(of_source)
    assert {step.handle for step in made.strangers} == strangers


@given(source=listings, target=listings)
def test_once_carried_out_nothing_is_left_to_do(source: Sizes, target: Sizes) -> None:
    made = plan(source, target)
    after = {type: dict(files) for type, files in target.items()}
    for steps in made.steps.values():
        for step in steps:
            assert step.handle.name not in after.get(step.handle.type, {})  # only ever added
            after.setdefault(step.handle.type, {})[step.handle.name] = step.size
    assert plan(source, after).files == plan(source, after).bytes == 0


@given(source=listings, target=listings)
def test_locks_are_never_copied(source: Sizes, target: Sizes) -> None:
    made = plan(source, target)
    assert FileType.LOCK not in made.steps
    assert all(step.handle.type is not FileType.LOCK for step in (*made.there, *made.strangers))


def test_names_come_after_what_they_name_and_are_listed_before_it() -> None:
    for order, later in ((ORDER, [FileType.PACK, FileType.INDEX, FileType.SNAPSHOT]),):
        assert [type for type in order if type in later] == later
    assert [type for type in LISTING_ORDER if type in {FileType.SNAPSHOT, FileType.INDEX, FileType.PACK}] == [
        FileType.SNAPSHOT,
        FileType.INDEX,
        FileType.PACK,
    ]


def test_a_file_of_another_size_is_differing_and_not_copied() -> None:
    made = plan({FileType.PACK: {"a": 5}}, {FileType.PACK: {"a": 3}})
    assert made.differing == [Differing(Handle(FileType.PACK, "a"), 5, 3)]
    assert made.files == 0


@given(
    fresh=st.lists(st.integers(0, 100), max_size=10),
    old=st.lists(st.integers(0, 100), max_size=10),
    most=st.integers(1, 200),
)
def test_a_sample_holds_something_of_both_and_keeps_to_its_bytes(fresh: list[int], old: list[int], most: int) -> None:
    of_fresh = [Step(Handle(FileType.PACK, f"f{n}"), size) for n, size in enumerate(fresh)]
    of_old = [Step(Handle(FileType.PACK, f"o{n}"), size) for n, size in enumerate(old)]
    chosen = sample(of_fresh, of_old, most)
    assert len(set(chosen)) == len(chosen)
    assert bool(fresh) == any(step in of_fresh for step in chosen)
    assert bool(old) == any(step in of_old for step in chosen)
    first = [part[0].size for part in (of_fresh, of_old) if part]
    assert sum(step.size for step in chosen) <= most + sum(first)
