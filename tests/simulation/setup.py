"""How the watcher of one run is configured, drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from tests.simulation.daemon import Setup
from watcher.core.alerts import AlertRules
from watcher.core.backoff import Backoff
from watcher.core.maintenance import Window
from watcher.core.model import EventKind, Severity
from watcher.core.planner import Mode, PollPolicy
from watcher.core.routing import Matcher, Recipient, Route, RoutingTable
from watcher.core.watchlist import DiscoverRule
from watcher.delivery import DeliveryPolicy
from watcher.polling import Watched

SOURCE = "prod"
RECEIVERS = ("hooks", "chat", "pager")
RULES = AlertRules(
    stuck_after_s={"CREATING": 600.0, "BUILDING": 900.0, "DELETING": 600.0},
    unreachable_after_s=200.0,
    flapping_changes=4,
    flapping_within_s=600.0,
    repeat_interval_s=1500.0,
    resolution_s=60.0,
)
_WORTH_A_PAGE = (
    Matcher(to_status=("ERROR",)),
    Matcher(severity=("critical",)),
    Matcher(kind=(EventKind.STUCK, EventKind.FLAPPING, EventKind.MISSING)),
    Matcher(kind=(EventKind.TRANSITION, EventKind.UNREACHABLE)),
    Matcher(instance_id=("0", "1")),
)


def draw_setup(rng: random.Random, *, instances: Sequence[str]) -> Setup:
    """The configuration of one run."""
    configured = [key for key in instances if rng.random() < 0.6] or instances[:1]
    discovers = len(configured) < len(instances) or rng.random() < 0.3
    policy = PollPolicy(
        interval_s=30.0,
        steady_interval_s=90.0,
        jitter=rng.choice([0.1, 0.1, 0.0]),  # without, what the list did not show is asked for beside it
        mode=rng.choice([Mode.AUTO, Mode.AUTO, Mode.LIST, Mode.GET]),
        concurrency=rng.choice([1, 2, 4]),
        backoff=Backoff(initial_s=1.0, max_s=60.0),
    )
    watched = Watched(
        source=SOURCE,
        instances={key: {"team": "vdi"} for key in configured},
        discover=(DiscoverRule(name="office-*"),) if discovers else (),
        policy=policy,
        rules=replace(RULES, learned=rng.random() < 0.5),
        updating=rng.choice([(), ("chat",), ("hooks", "chat")]),
    )
    return Setup(
        sources=(watched,),
        homes=dict.fromkeys(instances, SOURCE),
        table=_table(rng),
        policies=_policies(rng),
        windows=_windows(rng),
    )


def draw_shared_setup(rng: random.Random, *, instances: Sequence[str]) -> Setup:
    """The configuration of replicas that share a few sources."""
    names = [f"{SOURCE}{place}" for place in range(rng.randint(1, 3))]
    homes = {key: names[place % len(names)] for place, key in enumerate(instances)}
    alone = [
        (name, draw_setup(rng, instances=[key for key in instances if homes[key] == name]))
        for name in dict.fromkeys(homes.values())
    ]
    first = alone[0][1].sources[0]
    return replace(
        alone[0][1],
        sources=tuple(
            replace(setup.sources[0], source=name, rules=first.rules, updating=first.updating) for name, setup in alone
        ),
        homes=homes,
        # What is not configured is as the product has it.
        policies={name: replace(policy, at_once=8, backoff=Backoff()) for name, policy in alone[0][1].policies.items()},
        lease_ttl_s=rng.choice([60.0, 120.0]),
    )


def _table(rng: random.Random) -> RoutingTable:
    to_pager = Route(match=rng.choice(_WORTH_A_PAGE), receivers=("pager",), goes_on=rng.random() < 0.7)
    to_all = Route(match=Matcher(), receivers=rng.choice([("hooks", "chat"), RECEIVERS]))
    return RoutingTable(
        recipients=tuple(
            Recipient(
                name=name,
                min_severity=rng.choice([Severity.INFO, Severity.INFO, Severity.WARNING, Severity.CRITICAL]),
                send_resolved=name != "pager",
            )
            for name in RECEIVERS
        ),
        routes=rng.choice([(), (to_pager, to_all), (to_pager, to_all)]),
    )


def _policies(rng: random.Random) -> dict[str, DeliveryPolicy]:
    usual = DeliveryPolicy(
        max_age=rng.choice([timedelta(hours=24), timedelta(hours=24), timedelta(minutes=20)]),
        backoff=Backoff(initial_s=1.0, max_s=rng.choice([60.0, 300.0])),
    )
    return {
        "hooks": replace(usual, digest_over=0, at_once=rng.choice([1, 8])),
        "chat": replace(
            usual, digest_over=rng.choice([1, 3, 6]), rate=rng.choice([None, (10, 60.0), (1, 20.0)]), at_once=4
        ),
        "pager": replace(usual, digest_over=rng.choice([0, 2]), send_resolved=False),
    }


def _windows(rng: random.Random) -> tuple[Window, ...]:
    """Now and then a maintenance in the first half hour; the runs begin on a Thursday at midnight."""
    if rng.random() < 0.8:
        return ()
    return (
        Window(
            name="backups",
            days=frozenset({3}),
            start=time(0, rng.randrange(10)),
            duration=timedelta(minutes=rng.randint(1, 20)),
            timezone=ZoneInfo("UTC"),
            match=rng.choice([Matcher(), Matcher(instance_id=("0", "1"))]),
        ),
    )
