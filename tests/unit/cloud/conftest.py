"""The vendor's SDK as an oracle."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

SdkSign = Callable[[str, str, list[tuple[str, str]], dict[str, str], bytes], tuple[str, str]]
"""(method, path, query pairs, headers, body) -> (Authorization, the URI the SDK would send)."""


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The SDK's signing modules; importing them writes into the home directory."""
    patch = pytest.MonkeyPatch()
    patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = ("auth.credentials", "sdk_request", "signer.signer")
            credentials, request, signer = (importlib.import_module(f"huaweicloudsdkcore.{name}") for name in names)
    finally:
        patch.undo()
    return credentials.BasicCredentials, request.SdkRequest, signer.Signer


@pytest.fixture(scope="session")
def sdk_sign(sdk: Any) -> SdkSign:
    """Signs with the SDK, key `AKEXAMPLE`, secret `SKEXAMPLE`."""
    credentials, request_type, signer = sdk

    def sign(
        method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> tuple[str, str]:
        request = request_type(
            method=method,
            schema="https",
            host=headers["Host"],
            resource_path=path,
            query_params=list(query),
            header_params=dict(headers),
            body=body,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signed = signer(credentials("AKEXAMPLE", "SKEXAMPLE")).sign(request)
        return signed.header_params["Authorization"], signed.uri

    return sign


@pytest.fixture
def at() -> datetime:
    """The moment of the reference's test vectors."""
    return datetime.fromisoformat("2026-01-01T00:00:00Z")
