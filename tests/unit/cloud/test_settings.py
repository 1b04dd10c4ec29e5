from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from watcher.cloud.auth.auto import AutoSettings
from watcher.cloud.settings import ConnectionSettings


def test_a_region_is_enough() -> None:
    settings = ConnectionSettings(region="ap-southeast-3")
    assert isinstance(settings.auth, AutoSettings)
    assert settings.project_id is None
    assert not settings.tls.insecure_skip_verify


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "region"),
        ({"region": "cn-north-4", "endpoint": "https://user:pw@host"}, "credentials do not belong"),
        ({"region": "cn-north-4", "endpoint": "https://host?a=b"}, "no query"),
        ({"region": "cn-north-4", "endpoint": "ftp://host"}, "scheme"),
        ({"region": "cn-north-4", "proxy_url": "socks5://user:hunter2@host"}, "not an http"),
        ({"region": "cn-north-4", "proxy_url": "http://a", "proxy_url_file": "b"}, "not both"),
        ({"region": "cn-north-4", "project_id": "a/../b"}, "pattern"),
        ({"region": "cn-north-4", "auth": {"method": "magic"}}, "magic"),
        ({"region": "cn-north-4", "auth": {"method": "aksk", "access_key": "A"}}, "secret_key"),
        ({"region": "cn-north-4", "auth": {"method": "aksk", "access_key": "", "secret_key": "b"}}, "access_key"),
        ({"region": "cn-north-4", "auth": {"method": "password", "user": "u", "password": "hunter2"}}, "domain"),
        ({"region": "cn-north-4", "retries": 3}, "retries"),
    ],
)
def test_what_cannot_work_is_refused_without_showing_secrets(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ConnectionSettings.model_validate(given)
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    settings = ConnectionSettings.model_validate(
        {
            "region": "cn-north-4",
            "proxy_url": "http://user:hunter2@proxy:3128",
            "auth": {"method": "aksk", "access_key": "hunter2", "secret_key": "hunter2", "security_token": "hunter2"},
        }
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert "hunter2" not in shown


def test_every_key_is_described_in_the_schema() -> None:
    schema = ConnectionSettings.model_json_schema()
    for name, section in {"ConnectionSettings": schema, **schema["$defs"]}.items():
        for key, field in section["properties"].items():
            assert field.get("description"), f"{name}.{key} has no description"
