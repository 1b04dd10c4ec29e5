"""The API over HTTP, with a real server, a real store and what is made quiet by it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
from aiohttp import web
from multidict import CIMultiDictProxy
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock, HastyClock
from tests.fakes.receivers import refusal
from tests.fakes.values import KEY, at, event, history
from tests.fakes.view import View, Well
from watcher import __version__
from watcher.core.errors import CloudUnavailableError, StoreError
from watcher.core.event_json import to_json
from watcher.core.facts import ConfigurationApplied, ConfigurationRefused, CycleFinished, SourceFailed, SourceRecovered
from watcher.core.model import Event, EventKind, Expectation, InstanceKey, InstanceState
from watcher.core.ports import Attempt, Background, Change
from watcher.core.quiet import Acknowledgement, Silence
from watcher.core.reports import SourceReport
from watcher.core.sharing import Replica, Roster
from watcher.delivery import QuietKeeper
from watcher.fields import Secret
from watcher.matching import MatchSettings
from watcher.ops import Access, Api, Configured, EventStream, Guard, OpsServer, ReloadLog, SourceInfo, SourceLog
from watcher.ops.api.requests import cursor_of
from watcher.receivers.links import Links
from watcher.store import Store, open_store

SOURCE = SourceInfo(
    name="prod", region="ap-southeast-3", project_id="0" * 32, interval_s=15, steady_interval_s=60, mode="auto"
)
ROSTER = Roster(
    replicas=[
        Replica(
            id=id_,
            name=id_[:3],
            version="1.2.3",
            started_at=at(0),
            seen_at=at(60),
            is_draining=id_ == "two-2",
            unwell="not polled: prod" if id_ == "two-2" else None,
        )
        for id_ in ("one-1", "two-2")
    ],
    holders={"source/prod": "two-2", "receiver/hooks": "one-1", "receiver/chat": "two-2"},
)
CHALLENGES = ["Bearer", 'Basic realm="watcher", charset="UTF-8"']  # browsers take one header for one challenge
JSON = {"Content-Type": "application/json"}
SILENCE = {"match": {"to": "ERROR"}, "duration": "2h", "author": "ada", "comment": "rebuild"}


@dataclass
class Answer:
    """What came back."""

    status: int
    text: str
    headers: CIMultiDictProxy[str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def detail(self) -> str:
        """Of a problem: what is wrong."""
        assert self.headers["Content-Type"].startswith("application/problem+json")
        assert set(self.json) - {"errors"} == {"type", "title", "status", "detail"}
        assert self.json["status"] == self.status
        return str(self.json["detail"])


@dataclass
class Bench:
    """A server with everything behind it, and what it called."""

    store: Store
    quiet: QuietKeeper
    clock: FakeClock
    log: SourceLog
    stream: EventStream
    view: View = field(default_factory=View)
    reloads: ReloadLog = field(default_factory=ReloadLog)
    called: list[str] = field(default_factory=list)
    routes: list[web.RouteDef] = field(default_factory=list)
    url: str = ""
    caught_up: int = 0

    async def serve(self, **more: Any) -> OpsServer:
        pages = Links(
            consoles={"prod": "https://console.example.com/"}, runbooks={"error": "https://wiki.example.com/"}
        )
        configured = Configured(
            sources=[SOURCE], receivers={"hooks": "webhook", "chat": "slack"}, pages=pages, guard=Guard(**more)
        )
        api = Api(
            view=self.view,
            quiet=self.quiet,
            store=self.store,
            configured=lambda: configured,
            log=self.log,
            reloads=self.reloads,
            wellness=Well(),
            on_retry=lambda: self.called.append("retry"),
            on_acknowledged=lambda: self.called.append("acknowledged"),
            roster=lambda: ROSTER,
            replica_id=lambda: "one-1",
            why_unwell=lambda: None,
            catch_up=self._catch_up,
            clock=self.clock,
        )
        self.routes = [*api.routes(), *self.stream.routes()]
        server = OpsServer(
            host="127.0.0.1",
            port=0,
            registry=CollectorRegistry(),
            refresh=self._refresh,
            wellness=Well(),
            routes=self.routes,
            guard=lambda: configured.guard,
            clock=self.clock,
            on_shutdown=self.stream.close,
        )
        self.url = await server.start()
        return server

    async def _refresh(self) -> None:
        pass

    async def _catch_up(self) -> None:
        self.caught_up += 1

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {**(JSON if method == "POST" else {}), **headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, data=data, headers=given) as response,
        ):
            return Answer(response.status, await response.text(), response.headers)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = await open_store(f"sqlite:///{tmp_path / 'watcher.db'}")
    clock = FakeClock()
    called: list[str] = []
    quiet = QuietKeeper(store=store, clock=clock, on_change=lambda: called.append("change"))
    log, stream = SourceLog(clock=clock), EventStream(store=store, clock=clock)
    bench = Bench(store, quiet, clock, log, stream, called=called)
    server = await bench.serve()
    yield bench
    await server.close()
    await store.close()


class TestSilences:
    async def test_made_listed_and_ended(self, bench: Bench) -> None:
        made = await bench.post("/api/v1/silences", SILENCE)
        assert made.status == 201
        silence = made.json
        assert silence == {
            "id": silence["id"],
            "match": {"to": ["ERROR"]},
            "starts_at": "2026-01-01T00:00:00.000Z",
            "ends_at": "2026-01-01T02:00:00.000Z",
            "author": "ada",
            "comment": "rebuild",
            "created_at": "2026-01-01T00:00:00.000Z",
            "state": "active",
        }
        assert silence["id"].startswith("sil_")
        assert bench.called == ["change"]
        assert bench.quiet.why_quiet(event(to_status="ERROR")) is not None
        assert (await bench.get("/api/v1/silences")).json == {"items": [silence], "next": None}
        ended = await bench.call("DELETE", f"/api/v1/silences/{silence['id']}")
        assert (ended.status, ended.text) == (204, "")
        assert bench.called == ["change"] * 2
        assert bench.quiet.why_quiet(event(to_status="ERROR")) is None
        [item] = (await bench.get("/api/v1/silences?state=expired")).json["items"]
        assert (item["state"], item["ends_at"]) == ("expired", "2026-01-01T00:00:00.000Z")
        assert (await bench.get("/api/v1/silences?state=pending&state=active")).json["items"] == []
        assert (await bench.call("DELETE", f"/api/v1/silences/{silence['id']}")).status == 204
        unknown = await bench.call("DELETE", "/api/v1/silences/sil_0")
        assert (unknown.status, "'sil_0'" in unknown.detail) == (404, True)

    async def test_one_that_begins_later(self, bench: Bench) -> None:
        body = {**SILENCE, "starts_at": "2026-01-01T09:00:00+08:00"}
        made = (await bench.post("/api/v1/silences", body)).json
        times = (made["starts_at"], made["ends_at"], made["state"])
        assert times == ("2026-01-01T01:00:00.000Z", "2026-01-01T03:00:00.000Z", "pending")
        assert bench.quiet.why_quiet(event(to_status="ERROR")) is None
        await bench.clock.advance(3600)
        assert bench.quiet.why_quiet(event(to_status="ERROR")) is not None
        ended = await bench.post("/api/v1/silences", {**SILENCE, "starts_at": "2025-12-31T23:00:00Z"})
        assert ended.json["starts_at"] == "2026-01-01T01:00:00.000Z"

    async def test_all_keys_of_match_are_those_of_the_configuration(self, bench: Bench) -> None:
        match = {
            "kind": ["transition"],
            "from": ["BUILDING"],
            "to": ["ERROR"],
            "source": ["prod"],
            "instance_id": ["1"],
            "name": ["office-*"],
            "severity": ["critical"],
            "labels": {"team": "vdi"},
        }
        assert set(match) == {field.alias or name for name, field in MatchSettings.model_fields.items()}
        made = await bench.post("/api/v1/silences", {**SILENCE, "match": match})
        assert made.json["match"] == match
        alone = {key: value[0] if isinstance(value, list) else value for key, value in match.items()}
        assert (await bench.post("/api/v1/silences", {**SILENCE, "match": alone})).json["match"] == match

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            (b"", "author: is missing; comment: is missing"),
            (b"{", "the body is not JSON: EOF while parsing an object at line 1 column 1"),
            (b"[]", "the body must be a JSON object"),
            (b"[" * 60_000, "recursion limit"),
            (b'{"author": "\\ud800"}', "the body is not JSON"),
            (b'{"author": "\xff"}', "the body is not JSON"),
            ({**SILENCE, "match": "ERROR"}, "match: must be a JSON object"),
            ({**SILENCE, "match": {"form": "x"}}, "match.form: unknown, did you mean 'from'?"),
            ({**SILENCE, "match": {"from_status": "x"}}, "match.from_status: unknown; known are kind, from, to,"),
            ({**SILENCE, "match": {"kind": ["frob"]}}, "match.kind[0]: must be 'discovered', 'transition'"),
            ({**SILENCE, "match": {"labels": {"a": 1}}}, "match.labels.a: must be one text"),
            ({**SILENCE, "match": {}}, "give 'match' at least one key, or '\"all\": true' to silence everything"),
            ({**SILENCE, "match": {"to": []}}, "give 'match' at least one key"),
            ({**SILENCE, "match": {"to": "ERROR", "from": None}}, "match: 'from' must not be null: leave out"),
            ({**SILENCE, "all": True}, "give 'match' or 'all', not both"),
            ({**SILENCE, "author": "  "}, "author: must not be empty"),
            ({**SILENCE, "comment": ""}, "comment: must not be empty"),
            ({**SILENCE, "comment": " " * 2000 + "x"}, "comment: "),
            ({**SILENCE, "author": " " * 200 + "x"}, "author: "),
            ({**SILENCE, "duration": "soon"}, "duration: not a duration: write 500ms, 15s, 5m, 2h, 7d"),
            ({**SILENCE, "duration": "99999999999h"}, "duration: "),
            ({**SILENCE, "duration": 0}, "duration: must be more than 0"),
            ({**SILENCE, "duration": None}, "give 'ends_at' or 'duration', one of the two"),
            ({**SILENCE, "ends_at": "2026-01-02T00:00:00Z"}, "give 'ends_at' or 'duration', one of the two"),
            ({**SILENCE, "starts_at": "2026-01-03T00:00:00"}, "starts_at: needs a timezone"),
            ({**SILENCE, "starts_at": 1767225600}, "starts_at: must be a time such as 2026-01-01T22:00:00Z"),
            ({**SILENCE, "starts_at": "tomorrow"}, "starts_at: not a time: write 2026-01-01T22:00:00Z"),
        ],
    )
    async def test_what_is_wrong_is_said(self, bench: Bench, body: Any, detail: str) -> None:
        answer = await bench.post("/api/v1/silences", body)
        assert answer.status == 400
        assert detail in answer.detail
        assert bench.quiet.silences() == ()

    @pytest.mark.parametrize(
        ("more", "place", "detail"),
        [
            ({"duration": "3000000d"}, "duration", "is too long"),
            ({"duration": "1h", "starts_at": "9999-12-31T23:59:59-14:00"}, "duration", "is too long"),
            ({"ends_at": "0001-01-01T00:00:00+14:00"}, "ends_at", "must be after the present"),
            ({"ends_at": "2026-01-01T00:00:00Z"}, "ends_at", "must be after the present"),
            (
                {"starts_at": "2026-01-03T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"},
                "ends_at",
                "must be after 'starts_at'",
            ),
        ],
    )
    async def test_what_is_written_well_and_cannot_be_now_is_a_conflict(
        self, bench: Bench, more: dict[str, str], place: str, detail: str
    ) -> None:
        answer = await bench.post("/api/v1/silences", {**SILENCE, "duration": None, **more})
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (409, f"#/{place}")
        assert f"{place}: {detail}" in answer.detail
        assert bench.quiet.silences() == ()

    async def test_where_it_is_wrong_is_said_for_machines_too(self, bench: Bench) -> None:
        answer = await bench.post("/api/v1/silences", {**SILENCE, "match": {"kind": "frob"}, "mach": {}})
        pointers = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
        assert pointers["#/mach"] == "unknown, did you mean 'match'?"
        assert pointers["#/match/kind/0"].startswith("must be 'discovered'")

    async def test_everything_when_it_is_said_in_so_many_words(self, bench: Bench) -> None:
        made = await bench.post("/api/v1/silences", {**SILENCE, "match": {}, "all": True})
        assert (made.status, made.json["match"]) == (201, {})
        assert bench.quiet.why_quiet(event()) is not None

    async def test_a_store_that_cannot_be_written(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        async def full(silence: Silence) -> None:
            raise StoreError("cannot write the store: disk full")

        monkeypatch.setattr(bench.store, "add_silence", full)
        answer = await bench.post("/api/v1/silences", SILENCE)
        assert (answer.status, answer.detail) == (
            503,
            "cannot write the store: disk full: try again when the store works",
        )


class TestAlerts:
    async def test_those_of_instances_and_of_sources(self, bench: Bench) -> None:
        state, _ = history("BUILDING", "ERROR")
        bench.view.by_source["prod"] = [history("BUILT", key=InstanceKey("prod", "1"))[0], state]
        answer = (await bench.get("/api/v1/alerts")).json
        [down, error] = answer["items"]
        assert (down["name"], down["instance_id"], down["instance_status"], down["labels"]) == (
            "unreachable",
            "",
            None,
            {},
        )
        assert error == {
            "name": "error",
            "fingerprint": state.alerts[0].fingerprint,
            "status": "firing",
            "severity": "critical",
            "starts_at": "2026-01-01T00:00:15.000Z",
            "ends_at": None,
            "source": "prod",
            "instance_id": KEY.id,
            "instance_name": "office-2026",
            "instance_status": "ERROR",
            "labels": {"team": "vdi"},
            "acknowledged": None,
            "silenced_by": None,
            "reason": None,
            "runbook_url": "https://wiki.example.com/",
            "console_url": "https://console.example.com/",
        }
        assert answer["next"] is None

    async def test_taken_on(self, bench: Bench) -> None:
        state, _ = history("BUILDING", "ERROR", step_s=15.0004)  # the store knows no fractions of a millisecond
        bench.view.by_source["prod"] = [state]
        fingerprint = state.alerts[0].fingerprint
        await bench.clock.advance(60)
        answer = await bench.post(f"/api/v1/alerts/{fingerprint}/ack", {"author": "ada", "comment": "on it"})
        taken = {"author": "ada", "comment": "on it", "created_at": "2026-01-01T00:01:00.000Z"}
        assert (answer.status, answer.json["acknowledged"], answer.json["fingerprint"]) == (200, taken, fingerprint)
        items = (await bench.get("/api/v1/alerts")).json["items"]
        assert [item["acknowledged"] for item in items] == [None, taken]
        [kept] = await bench.store.acknowledgements()
        assert (kept.fingerprint, kept.starts_at) == (fingerprint, at(15))
        again, _ = history("BUILDING", "ERROR", "BUILT", "ERROR")
        bench.view.by_source["prod"] = [again]
        items = (await bench.get("/api/v1/alerts")).json["items"]
        assert [item["acknowledged"] for item in items] == [None, None], "another beginning is another alert"

    async def test_one_that_does_not_fire(self, bench: Bench) -> None:
        answer = await bench.post("/api/v1/alerts/0123456789abcdef/ack", {"author": "ada"})
        assert answer.status == 404
        assert answer.detail == "no alert with the fingerprint '0123456789abcdef' fires: see /api/v1/alerts"
        assert (await bench.post("/api/v1/alerts/x/ack", {"author": " "})).detail.startswith("author: ")

    async def test_who_does_not_say_who_is_anonymous(self, bench: Bench) -> None:
        state, _ = history("BUILDING", "ERROR")
        bench.view.by_source["prod"] = [state]
        answer = await bench.call("POST", f"/api/v1/alerts/{state.alerts[0].fingerprint}/ack")
        assert (answer.status, answer.json["acknowledged"]["author"]) == (200, "anonymous")


class TestInstances:
    async def test_one_and_all_that_is_known_of_it(self, bench: Bench) -> None:
        state, _ = history("BUILT", "BUILDING")
        bench.view.by_source["prod"] = [state]
        expected = Expectation(median_s=1400.25, p95_s=1600.0, samples=12)
        bench.view.backgrounds[KEY] = Background(labels={"team": "vdi"}, seen_at=at(115), expected=expected)
        await bench.clock.advance(115)
        shown = {
            "source": "prod",
            "id": KEY.id,
            "name": "office-2026",
            "status": "BUILDING",
            "presence": "present",
            "since": "2026-01-01T00:00:15.000Z",
            "observed_at": "2026-01-01T00:01:55.000Z",
            "sequence": 2,
            "image_id": "",
            "labels": {"team": "vdi"},
            "alerts": [],
            "expected": {"median_s": 1400.25, "p95_s": 1600.0, "samples": 12},
            "left_s": 1300.25,
            "reason": None,
            "console_url": "https://console.example.com/",
        }
        assert (await bench.get("/api/v1/instances")).json == {"items": [shown], "next": None}
        one = await bench.get(f"/api/v1/instances/prod/{KEY.id}")
        assert one.json == {**shown, "instance": json.loads(state.record)}
        await bench.clock.advance(2000)
        assert (await bench.get(f"/api/v1/instances/prod/{KEY.id}")).json["left_s"] == 0

    async def test_one_that_is_not_there(self, bench: Bench) -> None:
        bench.view.by_source["prod"] = [history(None, None)[0]]
        one = (await bench.get(f"/api/v1/instances/prod/{KEY.id}")).json
        assert (one["status"], one["presence"], one["expected"], one["left_s"]) == (None, "missing", None, None)
        assert [alert["name"] for alert in one["alerts"]] == ["missing"]
        bench.view.by_source["prod"] = [history("BUILT", "BUILT", None, None)[0]]
        one = (await bench.get(f"/api/v1/instances/prod/{KEY.id}")).json
        assert (one["status"], one["since"]) == ("BUILT", "2026-01-01T00:00:45.000Z")
        unknown = await bench.get("/api/v1/instances/prod/1")
        assert (unknown.status, "no instance '1' of source 'prod' is watched" in unknown.detail) == (404, True)
        unknown = await bench.get("/api/v1/instances/prd/1")
        assert (unknown.status, unknown.detail) == (404, "no source is called 'prd'; configured: prod")

    async def test_an_odd_id_can_be_asked_for(self, bench: Bench) -> None:
        bench.view.by_source["prod"] = [history("BUILT", key=InstanceKey("prod", "a b/ä"))[0]]
        assert (await bench.get("/api/v1/instances/prod/a%20b%2F%C3%A4")).json["id"] == "a b/ä"

    async def test_page_by_page_each_comes_once_in_order(self, bench: Bench) -> None:
        for source in ("test", "prod"):
            keys = [InstanceKey(source, str(number)) for number in range(7)]
            bench.view.by_source[source] = [history("BUILT", key=key)[0] for key in reversed(keys)]
        found, after, pages = [], "", 0
        while True:
            answer = (await bench.get(f"/api/v1/instances?limit=3{after}")).json
            assert len(answer["items"]) <= 3
            found += [(item["source"], item["id"]) for item in answer["items"]]
            pages += 1
            if answer["next"] is None:
                break
            after = f"&after={answer['next']}"
        assert found == [(source, str(number)) for source in ("prod", "test") for number in range(7)]
        assert pages == 5
        assert (await bench.get("/api/v1/instances?limit=14")).json["next"] is None

    async def test_those_of_a_source_or_status(self, bench: Bench) -> None:
        bench.view.by_source["prod"] = [
            history(status, key=InstanceKey("prod", status))[0] for status in ("BUILT", "ERROR", "BUILDING")
        ]
        bench.view.by_source["test"] = [history("BUILT", key=InstanceKey("test", "BUILT"))[0]]

        async def ids(query: str) -> list[str]:
            return [item["id"] for item in (await bench.get(f"/api/v1/instances?{query}")).json["items"]]

        assert await ids("status=ERROR") == ["ERROR"]
        assert await ids("status=ERROR&status=BUILT") == ["BUILT", "ERROR", "BUILT"]
        assert await ids("source=test") == ["BUILT"]
        assert await ids("source=test&status=ERROR") == []

    @pytest.mark.parametrize(
        ("query", "detail"),
        [
            ("limit=0", "limit: must be greater than or equal to 1"),
            ("limit=1001", "limit: must be less than or equal to 1000"),
            ("limit=x", "limit: must be a whole number"),
            ("limit=1&limit=2", "limit: must be one whole number"),
            ("after=x", "after: not a cursor: take what is 'next' in an earlier answer"),
            ("after=%C3%A9", "after: not a cursor"),
            ("after=WzFd", "after: not a cursor"),
            ("stauts=ERROR", "stauts: unknown, did you mean 'status'?"),
        ],
    )
    async def test_what_is_wrong_is_said(self, bench: Bench, query: str, detail: str) -> None:
        answer = await bench.get(f"/api/v1/instances?{query}")
        assert (answer.status, answer.detail.startswith(detail)) == (400, True), answer.text
        assert answer.json["errors"][0]["parameter"] == query.partition("=")[0]


class TestWhichInstances:
    """Filters and orders of the list."""

    @pytest.fixture(autouse=True)
    def fleet(self, bench: Bench) -> None:
        def seen(number: int, name: str, *statuses: str | None) -> InstanceState:
            return replace(history(*statuses, key=InstanceKey("prod", str(number)))[0], name=name)

        states = [
            seen(1, "zebra", "BUILT"),
            seen(2, "Office-2", "BUILDING"),
            seen(3, "office-1", "BUILT", "ERROR"),
            seen(4, "office-3", "BUILT", None, None),
            seen(5, "lab", "DELETING", None),
            seen(6, "attic", "ACTIVE"),
        ]
        bench.view.by_source = {"prod": states, "test": [history("BUILT", key=InstanceKey("test", "7"))[0]]}
        bench.view.backgrounds = {states[0].key: Background(labels={"team": "Blue", "site": "b"})}

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("q=OFFICE", "2347"),
            ("q=office-3", "4"),
            ("q=team%3Dblue", "1"),
            ("q=team%3Dblue%20zeb", "1"),
            ("q=team%3Dblue%20office", ""),
            ("q=%20", "1234567"),
            ("q=att", "6"),
            ("alerting=true", "34"),
            ("alerting=false", "1234567"),
            ("presence=missing&presence=deleted", "45"),
            ("status=BUILT&presence=present", "17"),
            ("source=test", "7"),
            ("source=nowhere", ""),
            ("order=problems", "3462715"),
        ],
    )
    async def test_which(self, bench: Bench, query: str, ids: str) -> None:
        items = (await bench.get(f"/api/v1/instances?{query}")).json["items"]
        assert "".join(item["id"] for item in items) == ids

    async def test_worst_first_page_by_page(self, bench: Bench) -> None:
        found, after = "", ""
        while True:
            answer = (await bench.get(f"/api/v1/instances?order=problems&limit=2{after}")).json
            found += "".join(item["id"] for item in answer["items"])
            if answer["next"] is None:
                break
            after = f"&after={answer['next']}"
        assert found == "3462715"

    async def test_an_etag_is_the_same_until_something_else_is_told(self, bench: Bench) -> None:
        building = bench.view.by_source["prod"][1]
        bench.view.backgrounds[building.key] = Background(expected=Expectation(median_s=900, p95_s=1000, samples=9))
        first = await bench.get("/api/v1/instances")
        tag = first.headers["ETag"]
        assert (tag.startswith('W/"'), first.headers["Cache-Control"]) == (True, "private, no-cache")
        await bench.clock.advance(5)
        later = await bench.get("/api/v1/instances")
        assert later.headers["ETag"] == tag
        assert later.text != first.text  # what is left of the build
        for given in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
            known = await bench.get("/api/v1/instances", **{"If-None-Match": given})
            assert (known.status, known.text, known.headers["ETag"]) == (304, "", tag)
        assert (await bench.get("/api/v1/instances", **{"If-None-Match": '"x"'})).status == 200
        bench.view.by_source["prod"].pop()
        assert (await bench.get("/api/v1/instances", **{"If-None-Match": tag})).status == 200


class TestEvents:
    """What was."""

    @pytest.fixture
    async def told(self, bench: Bench) -> list[Event]:
        """Five events of two instances, the second of which failed."""
        first, good = history("BUILDING", "BUILT")
        second, bad = history("ACTIVE", "BUILDING", "ERROR", key=InstanceKey("prod", "2"))
        bench.view.by_source["prod"] = [first, second]
        for state, events in ((first, good), (second, bad)):
            changes = [Change(state=state, events=((each, ()),)) for each in events]
            await bench.store.commit(changes, now=at(60))
        return [*good, *bad]

    async def test_all_that_is_known_of_them(self, bench: Bench, told: list[Event]) -> None:
        assert (await bench.get("/api/v1/events")).json == {"items": [to_json(each) for each in told], "next": None}

    async def test_page_by_page_either_way(self, bench: Bench, told: list[Event]) -> None:
        ids = [each.id for each in told]
        for order, wanted in (("oldest", ids), ("newest", ids[::-1])):
            found, after = [], ""
            while True:
                answer = (await bench.get(f"/api/v1/events?limit=2&order={order}{after}")).json
                found += [item["id"] for item in answer["items"]]
                if answer["next"] is None:
                    break
                after = f"&after={answer['next']}"
            assert found == wanted
        assert (await bench.get("/api/v1/events?limit=5")).json["next"] is None

    async def test_what_came_since_the_last_one_that_is_known(self, bench: Bench, told: list[Event]) -> None:
        items = (await bench.get(f"/api/v1/events?after={told[-2].id}")).json["items"]
        assert [item["id"] for item in items] == [told[-1].id]
        assert (await bench.get(f"/api/v1/events?after={told[-1].id}")).json == {"items": [], "next": None}

    @pytest.mark.parametrize(
        ("query", "sequences"),
        [
            ("kind=transition", [2, 2, 3]),
            ("kind=transition&instance_id=2", [2, 3]),
            ("source=nowhere", []),
            ("since=2026-01-01T00:00:15Z&until=2026-01-01T08:00:30%2B08:00", [2, 2]),
        ],
    )
    async def test_which(self, bench: Bench, told: list[Event], query: str, sequences: list[int]) -> None:
        items = (await bench.get(f"/api/v1/events?{query}")).json["items"]
        assert [item["sequence"] for item in items] == sequences

    async def test_behind_one_that_is_not_kept(self, bench: Bench) -> None:
        answer = await bench.get(f"/api/v1/events?after=evt_{'0' * 32}")
        assert (answer.status, "store.retention" in answer.detail) == (404, True)
        assert (await bench.get("/api/v1/events?after=7")).status == 400

    async def test_one_of_an_earlier_version_has_what_it_lacked(self, bench: Bench, told: list[Event]) -> None:
        async with bench.store.write() as connection:
            await connection.exec_driver_sql(
                "UPDATE events SET body = json_remove(body, '$.expected', '$.flapping', '$.changes')"
            )
        assert (await bench.get("/api/v1/events")).json["items"] == [to_json(each) for each in told]

    async def test_a_timeline(self, bench: Bench, told: list[Event]) -> None:
        await bench.clock.advance(100)
        answer = (await bench.get("/api/v1/instances/prod/2/timeline")).json
        assert (answer["now"], answer["next"]) == ("2026-01-01T00:01:40.000Z", None)
        spans = [(item["status"], item["duration_s"], item["ended_at"]) for item in answer["items"]]
        assert spans == [
            ("ACTIVE", 15, "2026-01-01T00:00:15.000Z"),
            ("BUILDING", 15, "2026-01-01T00:00:30.000Z"),
            ("ERROR", 70, None),
        ]
        assert [item["event_id"] for item in answer["items"]] == [each.id for each in told[2:]]
        latest = (await bench.get("/api/v1/instances/prod/2/timeline?limit=1")).json["items"]
        assert [item["status"] for item in latest] == ["BUILDING", "ERROR"]
        assert (await bench.get("/api/v1/instances/prod/3/timeline")).status == 404


class TestSourcesAndStatus:
    """Whether the sources answer, and the whole at one glance."""

    async def source(self, bench: Bench) -> dict[str, Any]:
        [item] = (await bench.get("/api/v1/sources")).json["items"]
        return dict(item)

    async def test_a_source_before_during_and_after_an_outage(self, bench: Bench) -> None:
        bench.view.by_source["prod"] = [history("BUILT")[0], history(None, None)[0]]
        before = await self.source(bench)
        assert (before["state"], before["last_success_at"], before["by_status"]) == (
            "untried",
            None,
            {"BUILT": 1, "missing": 1},
        )
        assert before["poll"] == {"interval_s": 15, "steady_interval_s": 60, "mode": "auto"}
        cycle = CycleFinished("prod", 0.25, 1.5, ok=True, at=at(10), pace=0.5, stretch=2.0)
        bench.log(cycle)
        up = await self.source(bench)
        assert (up["state"], up["last_success_at"], up["pace"], up["stretch"], up["lag_s"]) == (
            "up",
            "2026-01-01T00:00:10.000Z",
            0.5,
            2.0,
            1.5,
        )
        await bench.clock.advance(20)
        bench.log(SourceFailed("prod", CloudUnavailableError("no answer within 10 s"), 30.0, first=True))
        await bench.clock.advance(30)
        bench.log(SourceFailed("prod", CloudUnavailableError("no answer within 10 s"), 60.0, first=False))
        bench.log(replace(cycle, ok=False, at=at(50)))
        down = await self.source(bench)
        assert (down["state"], down["error"]) == ("down", "no answer within 10 s")
        assert (down["failing_since"], down["retry_at"], down["last_success_at"]) == (
            "2026-01-01T00:00:20.000Z",
            "2026-01-01T00:01:50.000Z",
            "2026-01-01T00:00:10.000Z",
        )
        assert (down["last_cycle_at"], down["stale"]) == ("2026-01-01T00:00:50.000Z", 2)
        assert [alert["name"] for alert in down["alerts"]] == ["unreachable"]
        assert (await bench.get("/api/v1/status")).json["sources"] == {"total": 1, "down": 1}
        bench.log(SourceRecovered("prod"))
        healed = await self.source(bench)
        assert (healed["state"], healed["error"], healed["failing_since"], healed["retry_at"]) == (
            "up",
            None,
            None,
            None,
        )

    async def test_who_polls_a_source(self, bench: Bench) -> None:
        assert (await self.source(bench))["replica"] == "two-2"

    async def test_a_source_that_another_replica_polls_is_as_that_one_tells(self) -> None:
        told = SourceReport(last_success_at=at(5), error="no answer within 10 s", failing_since=at(10))
        log = SourceLog(clock=FakeClock(), elsewhere={"away": told}.get)
        assert (log.of("away"), log.of("prod")) == (told, SourceReport())
        log(SourceRecovered("away"))  # it has come here
        assert log.of("away") == replace(told, error=None, failing_since=None)
        log.watch([])
        assert log.of("away") == told

    async def test_the_replicas(self, bench: Bench) -> None:
        first, second = (await bench.get("/api/v1/replicas")).json["items"]
        assert first == {
            "id": "one-1",
            "name": "one",
            "version": "1.2.3",
            "started_at": "2026-01-01T00:00:00.000Z",
            "seen_at": "2026-01-01T00:01:00.000Z",
            "draining": False,
            "is_self": True,
            "unwell": None,
            "sources": [],
            "receivers": ["hooks"],
        }
        assert (second["id"], second["draining"], second["is_self"]) == ("two-2", True, False)
        assert (second["sources"], second["receivers"], second["unwell"]) == (["prod"], ["chat"], "not polled: prod")
        page = (await bench.get("/api/v1/replicas?limit=1")).json
        assert [each["id"] for each in page["items"]] == ["one-1"]
        rest = (await bench.get(f"/api/v1/replicas?after={page['next']}")).json
        assert [each["id"] for each in rest["items"]] == ["two-2"]
        status = (await bench.get("/api/v1/status")).json
        assert (status["replica"], status["replicas"]) == ("one-1", 2)

    async def test_what_others_do_is_looked_up_before_each_answer(self, bench: Bench) -> None:
        for times, path in enumerate(("instances", "sources", "alerts", "status"), 1):
            await bench.get(f"/api/v1/{path}")
            assert bench.caught_up == times

    async def test_the_whole(self, bench: Bench) -> None:
        failed, _ = history("BUILDING", "ERROR")
        bench.view.by_source["prod"] = [failed, history("BUILT", key=InstanceKey("prod", "1"))[0]]
        await bench.clock.advance(60)
        await bench.post(f"/api/v1/alerts/{failed.alerts[0].fingerprint}/ack", {"author": "ada"})
        await bench.post("/api/v1/silences", SILENCE)
        await bench.post("/api/v1/silences", {**SILENCE, "starts_at": "2027-01-01T00:00:00Z"})
        over = Acknowledgement(fingerprint="over", starts_at=at(0), author="ada", comment="", created_at=at(0))
        await bench.store.acknowledge(over)
        told = event(id="evt_0", instance_id="1")
        changes = [Change(state=failed, events=((told, ("hooks", "chat")),))]
        await bench.store.commit(changes, now=at(60))
        [first, _] = await bench.store.deliveries_of([1, 2])
        await bench.store.record([Attempt(delivery=first, finished_at=at(61), error=refusal(permanent=True))])
        status = (await bench.get("/api/v1/status")).json
        assert status == {
            "version": __version__,
            "started_at": "2026-01-01T00:00:00.000Z",
            "now": "2026-01-01T00:01:00.000Z",
            "ready": True,
            "why_not_ready": None,
            "healthy": True,
            "why_unhealthy": None,
            "can_write": True,
            "why_read_only": None,
            "external_url": None,
            "configuration": {"refused": [], "waiting": []},
            "instances": {"total": 2, "by_status": {"ERROR": 1, "BUILT": 1}},
            "alerts": {"critical": 2, "warning": 0, "info": 0},
            "acknowledged": 1,
            "deliveries": {"pending": 1, "dead": 1},
            "receivers": [
                {"name": "hooks", "type": "webhook", "pending": 0, "dead": 1},
                {"name": "chat", "type": "slack", "pending": 1, "dead": 0},
            ],
            "silences": 1,
            "sources": {"total": 1, "down": 0},
            "replica": "one-1",
            "replicas": 2,
            "why_unwell": None,
        }

    async def test_what_became_of_the_last_reload(self, bench: Bench) -> None:
        async def shown() -> Any:
            return (await bench.get("/api/v1/status")).json["configuration"]

        bench.reloads(ConfigurationApplied(at(0), ("web.listen",)))
        assert await shown() == {"refused": [], "waiting": ["web.listen"]}
        bench.reloads(ConfigurationRefused(["watcher.yaml:1:2: no such key"]))
        assert await shown() == {"refused": ["watcher.yaml:1:2: no such key"], "waiting": ["web.listen"]}
        bench.reloads(ConfigurationApplied(at(0)))
        assert await shown() == {"refused": [], "waiting": []}

    async def test_that_it_shows_only(self, bench: Bench) -> None:
        server = await bench.serve(read_only=True)
        status = (await bench.get("/api/v1/status")).json
        assert (status["can_write"], "web.auth" in status["why_read_only"]) == (False, True)
        await server.close()


async def test_which_alerts_and_in_which_order(bench: Bench) -> None:
    def failed(number: int, *statuses: str | None) -> InstanceState:
        return history(*statuses, key=InstanceKey("prod", str(number)))[0]

    bench.view.by_source["prod"] = [
        failed(1, "BUILDING", "ERROR"),
        failed(2, "BUILT", None, None),
        failed(3, "BUILT", "BUILDING", "ERROR"),
    ]

    async def which(query: str) -> str:
        items = (await bench.get(f"/api/v1/alerts?{query}")).json["items"]
        return "".join(item["instance_id"] or item["name"][0] for item in items)

    assert await which("") == "u123"
    assert await which("order=problems") == "u312"
    assert await which("instance_id=1&instance_id=2") == "12"
    fingerprint = bench.view.by_source["prod"][2].alerts[0].fingerprint
    await bench.post(f"/api/v1/alerts/{fingerprint}/ack", {"author": "ada"})
    assert await which("order=problems") == "u123"
    first = (await bench.get("/api/v1/alerts?order=problems&limit=2")).json
    assert await which(f"order=problems&after={first['next']}") == "23"


async def test_what_keeps_an_alert_quiet_is_said(bench: Bench) -> None:
    bench.view.by_source["prod"] = [history("BUILDING", "ERROR")[0]]

    async def silenced() -> list[str | None]:
        items = (await bench.get("/api/v1/alerts?severity=critical")).json["items"]
        return [item["silenced_by"] for item in items]

    assert await silenced() == [None, None]
    for match in ({"to": "ERROR"}, {"kind": "unreachable"}):
        await bench.post("/api/v1/silences", {**SILENCE, "match": match})
    assert [(each or "").partition(" by ")[2] for each in await silenced()] == ["ada: rebuild"] * 2
    for silence in bench.quiet.silences():
        await bench.quiet.expire(silence.id)
    await bench.post("/api/v1/silences", {**SILENCE, "match": {"severity": "critical"}, "comment": "all"})
    assert [(each or "").partition(" by ")[2] for each in await silenced()] == ["ada: all"] * 2
    assert (await bench.get("/api/v1/alerts?severity=warning")).json["items"] == []
    assert (await bench.get("/api/v1/alerts?source=nowhere")).json["items"] == []


class TestDocument:
    """The OpenAPI document."""

    async def test_it_is_one(self, bench: Bench) -> None:
        told = (await bench.get("/api/v1/openapi.json")).json
        assert told["openapi"] == "3.1.0"
        jsonschema.Draft202012Validator.check_schema({"$defs": told["components"]["schemas"]})
        assert "securitySchemes" not in told["components"]
        refs = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
        assert refs <= set(told["components"]["schemas"])
        operations = [each for path in told["paths"].values() for each in path.values()]
        good = [each["responses"].get("200", each["responses"].get("201", {})) for each in operations]
        named = {name for each in good for name in each.get("links", ())}
        assert named
        assert named <= {each["operationId"] for each in operations}

    async def test_it_tells_of_every_path_that_is_served(self, bench: Bench) -> None:
        told = (await bench.get("/api/v1/openapi.json")).json
        documented = {(method.upper(), path) for path, each in told["paths"].items() for method in each}
        served = {(route.method, route.path) for route in bench.routes if "openapi" not in route.path}
        assert documented == served

    async def test_with_a_token_it_says_so(self, bench: Bench) -> None:
        server = await bench.serve(access=Access(bearer_token=Secret(value="s3cret"), clock=HastyClock()))
        told = (await bench.get("/api/v1/openapi.json", Authorization="Bearer s3cret")).json
        assert told["security"] == [{"bearer": []}, {"basic": []}]
        assert "401" in told["paths"]["/api/v1/status"]["get"]["responses"]
        await server.close()


class TestDeliveries:
    @pytest.fixture
    async def dead(self, bench: Bench) -> list[int]:
        """Three deliveries that are dead and one that waits; one is for a receiver that is no longer there."""
        for number, receivers in enumerate([("hooks",), ("hooks", "gone"), ("chat",)]):
            key = InstanceKey("prod", str(number))
            state, _ = history("BUILDING", key=key)
            told = event(id=f"evt_{number}", instance_id=key.id, kind=EventKind.TRANSITION)
            await bench.store.commit([Change(state=state, events=((told, receivers),))], now=at(20 + number))
        deliveries = await bench.store.deliveries_of(range(1, 4))
        failed = [Attempt(delivery=each, finished_at=at(30), error=refusal(permanent=True)) for each in deliveries]
        await bench.store.record(failed)
        return [delivery.id for delivery in deliveries]

    async def test_what_became_of_them(self, bench: Bench, dead: list[int]) -> None:
        items = (await bench.get("/api/v1/deliveries")).json["items"]
        assert [(item["id"], item["receiver"], item["state"]) for item in items] == [
            (4, "chat", "pending"),
            (3, "gone", "dead"),
            (2, "hooks", "dead"),
            (1, "hooks", "dead"),
        ]
        assert items[3] == {
            "id": 1,
            "receiver": "hooks",
            "receiver_type": "webhook",
            "state": "dead",
            "attempts": 1,
            "created_at": "2026-01-01T00:00:20.000Z",
            "next_attempt_at": None,
            "finished_at": "2026-01-01T00:00:30.000Z",
            "reason": "clientError",
            "answer": "answered HTTP 400",
            "held_by": None,
            "digest_id": None,
            "event": {
                "id": "evt_0",
                "kind": "transition",
                "source": "prod",
                "instance_id": "0",
                "instance_name": "office-2026",
                "from": "BUILDING",
                "to": "BUILT",
                "severity": "info",
                "observed_at": "2026-01-01T00:00:15.123Z",
            },
        }
        assert items[0]["next_attempt_at"] == "2026-01-01T00:00:22.000Z"

    async def test_filters_and_pages(self, bench: Bench, dead: list[int]) -> None:
        async def ids(query: str) -> list[int]:
            return [item["id"] for item in (await bench.get(f"/api/v1/deliveries?{query}")).json["items"]]

        assert await ids("state=dead&receiver=hooks") == [2, 1]
        assert await ids("state=delivered") == []
        assert await ids("source=prod&instance_id=1") == [3, 2]
        assert await ids("event_id=evt_2") == [4]
        assert await ids("source=test") == []
        first = (await bench.get("/api/v1/deliveries?limit=2")).json
        assert [item["id"] for item in first["items"]] == [4, 3]
        assert await ids(f"limit=2&after={first['next']}") == [2, 1]
        wrong = await bench.get("/api/v1/deliveries?state=ded")
        assert wrong.detail == "state: must be 'pending', 'delivered', 'dead' or 'suppressed'"
        for foreign in (cursor_of(["prod", "1"]), "", "9" * 30, "-1"):
            assert (await bench.get(f"/api/v1/deliveries?after={foreign}")).detail.startswith("after: must be ")

    async def test_one_is_tried_again(self, bench: Bench, dead: list[int]) -> None:
        answer = await bench.post("/api/v1/deliveries/2/retry")
        assert (answer.status, answer.json["id"], answer.json["state"]) == (200, 2, "pending")
        assert bench.called == ["retry"]
        assert [each.id for each in await bench.store.waiting("hooks", now=at(60), limit=9)] == [2]
        assert (await bench.post("/api/v1/deliveries/2/retry")).detail.startswith("delivery 2 is pending: only what")
        assert (await bench.post("/api/v1/deliveries/2/retry")).status == 409
        gone = await bench.post("/api/v1/deliveries/3/retry")
        assert (gone.status, gone.detail) == (409, "receiver 'gone' is no longer in the configuration")
        assert (await bench.post("/api/v1/deliveries/99/retry")).status == 404
        assert (await bench.post("/api/v1/deliveries/999999999999999999/retry")).status == 404
        assert (await bench.post("/api/v1/deliveries/9999999999999999999999/retry")).status == 404
        assert (await bench.post("/api/v1/deliveries/2/retry", {"x": 1})).status == 400
        assert bench.called == ["retry"]

    async def test_all_are_tried_again_but_those_that_nobody_would_send(self, bench: Bench, dead: list[int]) -> None:
        answer = await bench.post("/api/v1/deliveries/retry")
        assert (answer.status, answer.json) == (200, {"retried": 2})
        assert bench.called == ["retry"]
        assert [item["id"] for item in (await bench.get("/api/v1/deliveries?state=dead")).json["items"]] == [3]
        assert (await bench.post("/api/v1/deliveries/retry", {})).json == {"retried": 0}


class TestWhoMayDoWhat:
    async def test_a_page_of_somebody_else_can_change_nothing(self, bench: Bench) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await bench.post("/api/v1/silences", SILENCE, **{"Content-Type": kind})
            assert (answer.status, "application/json" in answer.detail) == (415, True)
        for origin in ("http://evil.example", "null", "http://localhost:1", "https://", "http://[", "http://127.0.0.1"):
            answer = await bench.post("/api/v1/silences", SILENCE, Origin=origin)
            assert (answer.status, "'Origin'" in answer.detail) == (403, True)
            assert (await bench.call("DELETE", "/api/v1/silences/x", Origin=origin)).status == 403
        rebound = {"Host": "evil.example:9468", "Origin": "http://evil.example:9468"}
        answer = await bench.post("/api/v1/silences", SILENCE, **rebound)
        assert (answer.status, "'Host'" in answer.detail) == (403, True)
        assert bench.quiet.silences() == ()
        preflight = await bench.call("OPTIONS", "/api/v1/silences", **rebound)
        assert "Access-Control-Allow-Origin" not in preflight.headers

    async def test_its_own_page_can(self, bench: Bench) -> None:
        for headers in (
            {"Origin": bench.url},
            {"Host": "localhost:9468", "Origin": "http://localhost:9468"},
            {"Host": "[::1]:9468", "Origin": "http://[::1]:9468"},
            {"Content-Type": "application/json; charset=utf-8"},
        ):
            assert (await bench.post("/api/v1/silences", SILENCE, **headers)).status == 201

    async def test_what_has_no_body_needs_no_type_but_its_own_origin_all_the_same(self, bench: Bench) -> None:
        assert (await bench.call("POST", "/api/v1/deliveries/retry")).status == 200
        foreign = await bench.call("POST", "/api/v1/deliveries/retry", Origin="http://evil.example")
        assert foreign.status == 403

    async def test_the_page_behind_a_proxy_can(self, bench: Bench) -> None:
        server = await bench.serve(external_url="https://watcher.example:443/base/")
        for host in ("watcher.example", bench.url.partition("//")[2]):
            headers = {"Host": host, "Origin": "https://watcher.example"}
            assert (await bench.post("/api/v1/silences", SILENCE, **headers)).status == 201
        await server.close()

    async def test_beyond_loopback_without_a_token_it_only_shows(self, bench: Bench) -> None:
        server = await bench.serve(read_only=True)
        for method, path in (
            ("POST", "/api/v1/silences"),
            ("DELETE", "/api/v1/silences/x"),
            ("POST", "/api/v1/alerts/x/ack"),
            ("POST", "/api/v1/deliveries/1/retry"),
            ("POST", "/api/v1/deliveries/retry"),
        ):
            answer = await bench.call(method, path, SILENCE)
            assert (answer.status, "set web.auth.bearer_token (or username and password)" in answer.detail) == (
                403,
                True,
            )
        for path in ("silences", "alerts", "deliveries", "instances"):
            assert (await bench.get(f"/api/v1/{path}", Host="watcher.example")).status == 200
        await server.close()

    async def test_with_a_token_everything_needs_it(self, bench: Bench) -> None:
        server = await bench.serve(access=Access(bearer_token=Secret(value="s3cret"), clock=HastyClock()))
        for path in ("silences", "alerts", "deliveries", "instances", "instances/prod/1", "nonsense"):
            answer = await bench.get(f"/api/v1/{path}")
            assert (answer.status, answer.headers.getall("WWW-Authenticate")) == (401, CHALLENGES)
            assert "Authorization: Bearer TOKEN" in answer.detail
        assert (await bench.post("/api/v1/silences", SILENCE)).status == 401
        for wrong in ("Bearer s3cre", "Basic " + _basic("s3cre"), "Basic !", "Basic", "s3cret", "Digest s3cret"):
            assert (await bench.get("/api/v1/instances", Authorization=wrong)).status == 401
        assert (await bench.get("/api/v1/instances", Authorization="basic " + _basic("s3cret"))).status == 200
        good = {"Authorization": "Bearer s3cret"}
        assert (await bench.post("/api/v1/silences", SILENCE, Host="watcher.example", **good)).status == 201
        assert (await bench.post("/api/v1/silences", SILENCE, Origin="http://evil.example", **good)).status == 403
        await server.close()


def _basic(password: str) -> str:
    """As a browser sends what its user was asked for."""
    return base64.b64encode(f"anybody:{password}".encode()).decode()


async def test_what_is_not_there_is_a_problem_too(bench: Bench) -> None:
    answer = await bench.get("/api/v2/instances")
    assert (answer.status, answer.detail.startswith("no such path")) == (404, True)
    answer = await bench.call("DELETE", "/api/v1/silences")
    assert (answer.status, answer.headers["Allow"], answer.detail) == (
        405,
        "GET, HEAD, POST",
        "use one of GET, HEAD, POST here",
    )
    answer = await bench.post("/api/v1/silences", {**SILENCE, "comment": "x" * 65536})
    assert (answer.status, "64 KiB" in answer.detail) == (413, True)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_fault_of_our_own_is_a_problem_and_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.view.by_source["prod"] = [None]  # type: ignore[list-item]
    answer = await bench.get("/api/v1/instances")
    assert (answer.status, answer.detail) == (500, "the watcher failed at this: its log says how")
    assert "AttributeError" in caplog.text


async def test_a_body_that_ends_half_way_is_nobodys_fault(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    lines = ["POST /api/v1/silences HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    head = "\r\n".join([*lines, "Content-Length: 99", "", "{"])
    port = int(bench.url.rpartition(":")[2])
    for ends in (True, False):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        if ends:
            writer.write_eof()
            await reader.read()
        else:
            await writer.drain()
            writer.transport.abort()
        writer.close()
        assert (await bench.get("/api/v1/silences")).json["items"] == []
    assert caplog.records == []
    packed = await bench.post("/api/v1/silences", b"not gzip", **{"Content-Encoding": "gzip"})
    assert (packed.status, packed.detail) == (400, "the body cannot be read to its end")
