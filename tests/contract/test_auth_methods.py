"""What every authentication method must do. A method without a case here fails `test_every_method_has_a_case`."""

from __future__ import annotations

import asyncio
import logging
import typing
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cloud.mini_cloud import PROJECT, SERVER_ID, MiniCloud
from watcher.cloud.auth import AuthSettings
from watcher.cloud.client import CloudClient
from watcher.core.errors import CloudAuthError
from watcher.fields import Section

SECRET = "hunter2"


@dataclass(frozen=True)
class Case:
    """`configure` makes the cloud accept a credential and says how to configure it; `rotate` replaces it by another,
    where it is looked for and in the cloud.
    """

    configure: Callable[[MiniCloud, Path], dict[str, Any]]
    rotate: Callable[[MiniCloud, Path], None]


def _write(path: Path, text: str) -> str:
    path.write_text(f"{text}\n", encoding="utf-8")
    return str(path)


def _token(cloud: MiniCloud, folder: Path) -> dict[str, Any]:
    cloud.tokens = {f"{SECRET}-first"}
    return {"method": "token", "token_file": _write(folder / "token", f"{SECRET}-first")}


def _rotate_token(cloud: MiniCloud, folder: Path) -> None:
    cloud.tokens = {f"{SECRET}-second"}
    _write(folder / "token", f"{SECRET}-second")


def _aksk(cloud: MiniCloud, folder: Path) -> dict[str, Any]:
    cloud.keys = {"AK1": (SECRET, f"{SECRET}-token")}
    return {
        "method": "aksk",
        "access_key_file": _write(folder / "ak", "AK1"),
        "secret_key_file": _write(folder / "sk", SECRET),
        "security_token_file": _write(folder / "st", f"{SECRET}-token"),
    }


def _rotate_aksk(cloud: MiniCloud, folder: Path) -> None:
    cloud.keys = {"AK2": (f"{SECRET}-2", f"{SECRET}-token")}
    _write(folder / "ak", "AK2")
    _write(folder / "sk", f"{SECRET}-2")


def _password(cloud: MiniCloud, folder: Path) -> dict[str, Any]:
    cloud.passwords = {SECRET}
    return {"method": "password", "user": "u", "domain": "d", "password_file": _write(folder / "pw", SECRET)}


def _rotate_password(cloud: MiniCloud, folder: Path) -> None:
    cloud.passwords = {f"{SECRET}-2"}
    cloud.tokens.clear()  # changing a password ends its tokens
    _write(folder / "pw", f"{SECRET}-2")


def _metadata(cloud: MiniCloud, _: Path) -> dict[str, Any]:
    cloud.give_temporary_key("ECS1")
    return {"method": "metadata", "metadata_url": cloud.url}


def _auto(cloud: MiniCloud, folder: Path) -> dict[str, Any]:
    cloud.keys = {"AK1": (SECRET, "")}
    profile = f"[basic]\nak = AK1\nsk = {SECRET}\n"
    return {
        "method": "auto",
        "credentials_file": _write(folder / "profile", profile),
        "metadata_url": "http://127.0.0.1:1",
    }


def _rotate_auto(cloud: MiniCloud, folder: Path) -> None:
    cloud.keys = {"AK2": (f"{SECRET}%2", "")}
    _write(folder / "profile", f"[basic]\nak = AK2\nsk = {SECRET}%2\n")


CASES = {
    "token": Case(_token, _rotate_token),
    "aksk": Case(_aksk, _rotate_aksk),
    "password": Case(_password, _rotate_password),
    "metadata": Case(_metadata, lambda cloud, _: cloud.give_temporary_key("ECS2")),
    "auto": Case(_auto, _rotate_auto),
}
FROM_FILES = ["token", "aksk", "password", "auto"]
"""Those whose secrets may come from files, which somebody may rewrite."""
MEMBERS: tuple[type[Section], ...] = typing.get_args(typing.get_args(AuthSettings)[0])
METHODS = [member.model_fields["method"].default for member in MEMBERS]


@dataclass
class World:
    """A cloud and a client configured for it."""

    method: str
    cloud: MiniCloud
    client: CloudClient
    case: Case
    folder: Path
    seen: list[tuple[str, str]]

    def spoil(self) -> None:
        """No credential is good any more, though new ones may still be had."""
        self.cloud.accepts_nothing = True

    async def has_new_credential(self) -> bool:
        return await self.client.has_new_credential()

    @property
    def refused(self) -> int:
        return self.cloud.asked["service 401"]


@pytest.fixture(params=METHODS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    case, seen = CASES[request.param], list[tuple[str, str]]()
    async with MiniCloud() as cloud:
        client = cloud.client(case.configure(cloud, tmp_path), seen=seen)
        yield World(request.param, cloud, client, case, tmp_path, seen)
        await client.close()


def test_every_method_has_a_case() -> None:
    assert set(METHODS) == set(CASES)


async def test_requests_are_authorized(world: World) -> None:
    assert (await world.client.show(SERVER_ID)).status == "BUILT"
    assert world.refused == 0


async def test_a_rotated_credential_is_picked_up_with_one_refusal_at_most(world: World) -> None:
    await world.client.show(SERVER_ID)
    world.case.rotate(world.cloud, world.folder)
    assert (await world.client.show(SERVER_ID)).status == "BUILT"
    assert world.refused <= 1
    before = world.refused
    await world.client.show(SERVER_ID)
    assert world.refused == before


async def test_many_at_once_survive_a_rotation(world: World) -> None:
    await world.client.show(SERVER_ID)
    world.case.rotate(world.cloud, world.folder)
    answers = await asyncio.gather(*(world.client.show(SERVER_ID) for _ in range(16)))
    assert {answer.status for answer in answers} == {"BUILT"}


async def test_a_refused_credential_costs_two_requests_at_most_however_many_are_wanted(world: World) -> None:
    world.spoil()
    outcomes = await asyncio.gather(*(world.client.show(SERVER_ID) for _ in range(16)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {CloudAuthError}
    assert 1 <= world.refused <= 2
    with pytest.raises(CloudAuthError, match="not asked again") as caught:
        await world.client.show(SERVER_ID)
    assert caught.value.retry_after_s is not None
    assert world.refused <= 2


async def test_a_refused_credential_is_tried_again_after_the_lock(world: World) -> None:
    world.spoil()
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    world.cloud.accepts_nothing = False
    await world.cloud.clock.advance(359)
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    await world.cloud.clock.advance(2)
    assert (await world.client.show(SERVER_ID)).status == "BUILT"


async def test_nothing_is_new_where_nothing_was_refused(world: World) -> None:
    assert not await world.has_new_credential()
    await world.client.show(SERVER_ID)
    before = len(world.cloud.requests)
    world.case.rotate(world.cloud, world.folder)
    assert not await world.has_new_credential()
    assert len(world.cloud.requests) == before


async def test_a_refused_credential_is_not_new_and_nobody_is_asked(world: World) -> None:
    world.spoil()
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    before = len(world.cloud.requests)
    for _ in range(3):
        assert not await world.has_new_credential()
        await world.cloud.clock.advance(100)  # the pause ends meanwhile: that alone makes nothing new
    await world.cloud.clock.advance(100)
    assert not await world.has_new_credential()
    assert len(world.cloud.requests) == before


@pytest.mark.parametrize("world", FROM_FILES, indirect=True)
async def test_a_rewritten_file_is_worth_trying_before_the_pause_is_over(world: World) -> None:
    world.spoil()
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    refused = world.refused
    world.case.rotate(world.cloud, world.folder)
    for _ in range(2):
        assert await world.has_new_credential()
    assert world.refused == refused
    world.cloud.accepts_nothing = False
    assert (await world.client.show(SERVER_ID)).status == "BUILT"
    assert world.refused == refused


@pytest.mark.parametrize("world", FROM_FILES, indirect=True)
async def test_a_rewritten_file_that_is_refused_too_is_not_new_nor_is_the_former(world: World) -> None:
    first = {path: path.read_text(encoding="utf-8") for path in world.folder.iterdir()}
    world.spoil()
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    world.case.rotate(world.cloud, world.folder)
    assert await world.has_new_credential()
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    refused = world.refused
    assert not await world.has_new_credential()
    for path, text in first.items():
        path.write_text(text, encoding="utf-8")
    if world.method != "password":  # whose former password was never refused: a token of it is a new one
        assert not await world.has_new_credential()
        with pytest.raises(CloudAuthError, match="not asked again"):
            await world.client.show(SERVER_ID)
    assert world.refused == refused


@pytest.mark.parametrize("world", FROM_FILES, indirect=True)
async def test_a_file_that_is_there_at_last_is_worth_trying(world: World) -> None:
    files = {path: path.read_text(encoding="utf-8") for path in world.folder.iterdir()}
    for path in files:
        path.unlink()
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    assert not await world.has_new_credential()
    assert world.cloud.requests == []
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    for _ in range(2):
        assert await world.has_new_credential()
    assert (await world.client.show(SERVER_ID)).status == "BUILT"
    assert not await world.has_new_credential()


@pytest.mark.parametrize("world", FROM_FILES, indirect=True)
async def test_a_refused_credential_stays_refused_while_its_file_is_away(world: World) -> None:
    world.spoil()
    with pytest.raises(CloudAuthError):
        await world.client.show(SERVER_ID)
    before = len(world.cloud.requests)
    files = {path: path.read_text(encoding="utf-8") for path in world.folder.iterdir()}
    for path in files:
        path.unlink()
    assert not await world.has_new_credential()
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    assert not await world.has_new_credential()
    assert len(world.cloud.requests) == before


async def test_a_missing_project_is_found(world: World, tmp_path: Path) -> None:
    auth = world.case.configure(world.cloud, tmp_path)
    client = world.cloud.client(auth, project_id=None)
    try:
        await asyncio.gather(*(client.show(SERVER_ID) for _ in range(3)))
        assert await client.project_id() == PROJECT
        assert sum(path.startswith("/v3/projects") for path, _ in world.cloud.requests) <= 1
    finally:
        await client.close()


async def test_no_secret_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await world.client.show(SERVER_ID)
    shown = [repr(world.client._authenticator), repr(await world.client._authenticator.credential())]
    world.spoil()
    with pytest.raises(CloudAuthError) as caught:
        await world.client.show(SERVER_ID)
    error: BaseException | None = caught.value
    while error is not None:
        shown += [str(error), repr(error)]
        error = error.__cause__
    for text in [*shown, caplog.text]:
        assert SECRET not in text
        assert "secret-of" not in text
        assert "token-of" not in text
        assert "iam-token" not in text


@pytest.mark.parametrize("damage", ["\r\nX-Injected: 1", "\x00", "é"])
@pytest.mark.parametrize(
    "auth",
    [
        {"method": "token", "token": f"{SECRET}%s"},
        {"method": "aksk", "access_key": f"{SECRET}%s", "secret_key": "s"},
        {"method": "aksk", "access_key": "AK", "secret_key": "s", "security_token": f"{SECRET}%s"},
    ],
    ids=["token", "access key", "security token"],
)
async def test_what_a_header_cannot_carry_is_not_sent(auth: dict[str, str], damage: str) -> None:
    async with MiniCloud() as cloud:
        client = cloud.client({key: value.replace("%s", damage) for key, value in auth.items()})
        with pytest.raises(CloudAuthError, match="is its source damaged") as caught:
            await client.show(SERVER_ID)
        await client.close()
    assert SECRET not in str(caught.value)
    assert cloud.requests == []


async def test_it_can_be_closed_unused(world: World) -> None:
    await world.client.close()
    assert world.seen == []


@pytest.mark.parametrize("member", MEMBERS, ids=METHODS)
def test_its_keys_are_described(member: type[Section]) -> None:
    for key, field in member.model_json_schema()["properties"].items():
        assert field.get("description"), f"{key} has no description"
