"""Which instances of a source are watched, and the labels their events carry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from watcher.core.model import Instance, InstanceState, Presence

_DEFAULT_PROJECT = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverRule:
    """Instances to watch because the list shows them; None is "any". `name` is a glob as in a shell."""

    name: str | None = None
    enterprise_project_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Watchlist:
    """The configured instances, and those the list showed that a rule means.

    An instance that is both is one, with the labels of both; what is configured for it by name wins. An instance that
    was discovered stays watched until it is gone, also when it is renamed.
    """

    def __init__(self, configured: Mapping[str, Mapping[str, str]], rules: Sequence[DiscoverRule] = ()) -> None:
        self._configured = configured
        self._rules = rules
        self._ids = set(configured)

    @property
    def ids(self) -> set[str]:
        """The ids of all that is watched."""
        return self._ids

    @property
    def discovers(self) -> bool:
        """Whether the list is to be read for instances not yet known."""
        return bool(self._rules)

    @property
    def enterprise_project_id(self) -> str | None:
        """The one enterprise project that every rule names: the list need not show others. None: show all."""
        named = {rule.enterprise_project_id for rule in self._rules}
        return named.pop() if len(named) == 1 else None

    def is_configured(self, instance_id: str) -> bool:
        """Whether the operator named it."""
        return instance_id in self._configured

    def consider(self, instance: Instance) -> bool:
        """Watch an instance that the list shows, if a rule means it; whether it is watched."""
        return self._consider(instance.id, instance.name, instance.record)

    def remember(self, state: InstanceState) -> bool:
        """Watch an instance that an earlier run discovered, if a rule still means it; whether it is watched."""
        return self._consider(state.key.id, state.name, state.record)

    def discovers_as(self, before: Watchlist) -> bool:
        """Whether the list is read for the same instances as by another one."""
        return self._rules == before._rules

    def follow(self, before: Watchlist, states: Mapping[str, InstanceState]) -> None:
        """Go on watching what another list of the same source watched, as far as a rule means it.

        Where the rules are the same, also what was renamed since.
        """
        for instance_id in before.ids:
            state = states.get(instance_id)
            if self.discovers_as(before) and not before.is_configured(instance_id):
                self._ids.add(instance_id)
            elif state is not None and state.presence is not Presence.DELETED:
                self.remember(state)

    def _consider(self, instance_id: str, name: str, record: str) -> bool:
        if instance_id not in self._ids and any(self._means(rule, name, record) for rule in self._rules):
            self._ids.add(instance_id)
        return instance_id in self._ids

    def drop(self, instance_id: str) -> None:
        """Watch an instance no more: it is gone."""
        self._ids.discard(instance_id)

    def labels(self, instance_id: str, *, name: str, record: str) -> dict[str, str]:
        """The labels of every rule that means the instance, and over them its own."""
        labels: dict[str, str] = {}
        for rule in self._rules:
            if self._means(rule, name, record):
                labels |= rule.labels
        return {**labels, **self._configured.get(instance_id, {})}

    def _means(self, rule: DiscoverRule, name: str, record: str) -> bool:
        if rule.name is not None and not fnmatchcase(name, rule.name):
            return False
        return rule.enterprise_project_id is None or rule.enterprise_project_id == self._project_of(record)

    def _project_of(self, record: str) -> str:
        """The instance's enterprise project; where its record does not say, the one the list was asked for."""
        found = json.loads(record).get("enterprise_project_id")
        if found is None:
            return self.enterprise_project_id or _DEFAULT_PROJECT
        return str(found) or _DEFAULT_PROJECT
