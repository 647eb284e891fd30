"""What is generated: the same for the same seed, accepted by the tools, counted under known tags, and made smaller part by part."""

from tests.analysis.firewall.kernel.agreement import without_refused
from tests.analysis.firewall.kernel.choosing import Seeded
from tests.analysis.firewall.kernel.rulesets import Ruleset, decode
from tests.analysis.firewall.kernel.strategies import SHOTS, draw_round
from tests.analysis.firewall.kernel.tags import CAUSES, ON_THE_WAY, TAGS, choices
from tests.analysis.firewall.kernel.topology import SWITCHES, World

MANY = 250


def generated() -> list[Ruleset]:
    return [draw_round(Seeded(f"strategies {number}"))[0] for number in range(MANY)]


def rules(ruleset: Ruleset) -> list[tuple[str, tuple[str, ...]]]:
    nft = [rule for table in ruleset.tables for chain in table.chains for rule in chain.rules]
    return [(rule.text, rule.tags) for rule in (*nft, *(rule for table in ruleset.xtables for rule in table.rules))]


def test_the_same_seed_gives_the_same_round() -> None:
    first, again, other = (draw_round(Seeded(seed)) for seed in ("1/7", "1/7", "1/8"))
    assert first == again
    assert first != other
    assert len(first[1]) == SHOTS


def test_every_tag_is_generated_and_every_generated_tag_is_known() -> None:
    seen = {tag for ruleset in generated() for _, tags in rules(ruleset) for tag in tags}
    assert seen - set(TAGS) == set()
    rare = {tag for tag in set(TAGS) - set(CAUSES) - seen}
    steered = {
        tag
        for number in range(MANY)
        for _, tags in rules(
            draw_round(Seeded(f"steered {number}", dict.fromkeys((c for tag in rare for c in choices(tag)), 8.0)))[0]
        )
        for tag in tags
    }
    assert rare - steered == set()
    assert set(TAGS) >= ON_THE_WAY


def test_a_ruleset_survives_being_written_down() -> None:
    for ruleset in generated()[:20]:
        assert decode(ruleset.encode()) == ruleset


def test_smaller_rulesets_are_smaller() -> None:
    ruleset = max(generated(), key=lambda each: len(rules(each)))
    sizes = {len(smaller.text()) for smaller in ruleset.smaller()}
    assert max(sizes) < len(ruleset.text())


def test_nearly_all_rules_are_taken_by_the_tools(world: World) -> None:
    given = taken = 0
    for ruleset in generated()[:30]:
        given += len(rules(ruleset))
        for _ in range(6):
            refused = world.loader.ask(do="load", **ruleset.order(SWITCHES)).get("refused")
            if refused is None:
                break
            ruleset = without_refused(ruleset, refused)
        assert refused is None
        taken += len(rules(ruleset))
    assert taken > 0.97 * given
