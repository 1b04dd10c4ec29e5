from __future__ import annotations

from dataclasses import replace

from tests.fakes.values import history, instance
from watcher.core.model import InstanceKey, InstanceState
from watcher.core.watchlist import DiscoverRule, Watchlist


def labels(watchlist: Watchlist, name: str = "office-1", **record: str) -> dict[str, str]:
    seen = instance("BUILT", id="1", name=name, **record)
    return watchlist.labels("1", name=seen.name, record=seen.record)


def test_what_a_rule_means_is_watched_from_first_sight() -> None:
    watchlist = Watchlist({}, [DiscoverRule(name="office-*")])
    assert watchlist.consider(instance("BUILT", id="1", name="office-1"))
    assert not watchlist.consider(instance("BUILT", id="2", name="lab"))
    assert not watchlist.consider(instance("BUILT", id="3", name="Office-1"))  # as a shell: case counts
    assert watchlist.ids == {"1"}


def test_an_empty_rule_means_everything_and_no_rule_nothing() -> None:
    assert Watchlist({}, [DiscoverRule()]).consider(instance("BUILT", id="1"))
    assert not Watchlist({}).consider(instance("BUILT", id="1"))


def test_the_enterprise_project_must_be_that_of_the_rule() -> None:
    watchlist = Watchlist({}, [DiscoverRule(enterprise_project_id="a"), DiscoverRule(enterprise_project_id="0")])
    assert watchlist.consider(instance("BUILT", id="1", enterprise_project_id="a"))
    assert watchlist.consider(instance("BUILT", id="2", enterprise_project_id=""))  # "" is the default project
    assert not watchlist.consider(instance("BUILT", id="3", enterprise_project_id="b"))
    assert watchlist.enterprise_project_id is None


def test_the_list_is_asked_for_one_project_when_no_rule_wants_another() -> None:
    watchlist = Watchlist(
        {}, [DiscoverRule(enterprise_project_id="a", name="x"), DiscoverRule(enterprise_project_id="a")]
    )
    assert watchlist.enterprise_project_id == "a"
    assert watchlist.consider(instance("BUILT", id="1"))  # the record does not say: it is what was asked for
    assert Watchlist({}).enterprise_project_id is None


def test_labels_of_all_rules_are_merged_and_the_instance_s_own_win() -> None:
    watchlist = Watchlist(
        {"1": {"team": "vdi"}},
        [DiscoverRule(name="office-*", labels={"team": "all", "tier": "1"}), DiscoverRule(labels={"site": "hk"})],
    )
    assert labels(watchlist) == {"team": "vdi", "tier": "1", "site": "hk"}
    assert labels(watchlist, name="lab") == {"team": "vdi", "site": "hk"}


def test_what_was_discovered_is_remembered_while_a_rule_means_it() -> None:
    state, _ = history("BUILT")
    assert Watchlist({}, [DiscoverRule(name="office-*")]).remember(state)
    assert not Watchlist({}, [DiscoverRule(name="lab-*")]).remember(state)


def test_renamed_it_stays_watched_until_it_is_gone() -> None:
    watchlist = Watchlist({}, [DiscoverRule(name="office-*")])
    watchlist.consider(instance("BUILT", id="1", name="office-1"))
    assert watchlist.consider(instance("BUILT", id="1", name="other"))
    watchlist.drop("1")
    assert watchlist.ids == set()


def test_what_is_configured_is_watched_whatever_the_rules_mean() -> None:
    assert Watchlist({"1": {}}, [DiscoverRule(name="lab-*")]).ids == {"1"}


def discovered(name: str) -> InstanceState:
    return replace(history("BUILT", key=InstanceKey("prod", name))[0], name=name)


def test_another_list_goes_on_watching_what_its_rules_mean() -> None:
    office, lab = DiscoverRule(name="office-*"), DiscoverRule(name="lab-*")
    before = Watchlist({"named": {}}, (office, lab))
    states = {name: discovered(name) for name in ("office-1", "lab-1", "lab-2")}
    for state in states.values():
        assert before.remember(state)
    after = Watchlist({"new": {}}, (lab,))
    after.follow(before, states)
    assert after.ids == {"new", "lab-1", "lab-2"}


def test_with_the_same_rules_what_was_renamed_stays() -> None:
    rule = DiscoverRule(name="office-*")
    before = Watchlist({"named": {}}, (rule,))
    assert before.remember(discovered("office-1"))
    after = Watchlist({}, (rule,))
    after.follow(before, {"office-1": discovered("another name")})
    assert after.ids == {"office-1"}
