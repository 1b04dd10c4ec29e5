from __future__ import annotations

from typing import Any

import pytest

from watcher.app.configuration import applicable
from watcher.settings import Settings

SOURCE = {"name": "prod", "region": "ap-southeast-3", "auth": {"method": "auto"}, "instances": ["1"]}


def settings(**sections: Any) -> Settings:
    return Settings.model_validate({"sources": [SOURCE], **sections})


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"store": {"url": "sqlite:///other.db", "retention": "1d"}}, "store.url"),
        ({"cluster": {"lease_ttl": "1m"}}, "cluster"),
        ({"web": {"listen": ":9999"}}, "web.listen"),
        ({"web": {"tls": {"cert_file": "a", "key_file": "b"}}}, "web.tls"),
    ],
)
def test_what_needs_a_restart_waits_for_it_and_stays_as_it_is(sections: dict[str, Any], key: str) -> None:
    running = settings()
    applied, waiting = applicable(settings(**sections), running)
    assert waiting == (key,)
    assert applied.store.url == running.store.url
    assert (applied.cluster, applied.web) == (running.cluster, running.web)
    assert applied.store.retention == settings(**sections).store.retention


def test_all_else_applies() -> None:
    wanted = settings(
        store={"retention": "1d"},
        web={"external_url": "https://watcher.example.com", "metrics_instance_limit": 1},
        poll={"interval": "1s"},
        receivers=[{"name": "screen", "type": "console"}],
    )
    assert applicable(wanted, settings()) == (wanted, ())
