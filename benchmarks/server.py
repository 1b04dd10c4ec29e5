"""The cloud and the webhooks' receiver of the benchmarks: one cheap process, so that its clients are what is measured.

`python -m benchmarks.server --instances 1000` prints its port. It reads the request line and writes bytes that are
rendered once. It is also the one clock of the latencies: it sees both the answer that first shows a change and the
webhook that tells of it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
from collections import Counter, deque
from email.utils import formatdate
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

PROJECT = "0123456789abcdef0123456789abcdef"
SHOW_PATH = f"/v1/{PROJECT}/image-servers/"
HOOK_PATH = "/hook"
CONTROL_PATH = "/control/"

DIFFERS = ("nothing", "one", "every")
"""How a page differs from the last answer for it: not at all, in one instance, in every instance."""

_FIRST_ID = 697612196993040384
_ALTERNATES = 3  # of a page that differs: more than any client would remember of it
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def instance_ids(count: int) -> list[str]:
    """The ids of the instances of a server with so many."""
    return [str(_FIRST_ID + number) for number in range(count)]


def project_ids(count: int) -> list[str]:
    """The ids of the projects of a server with so many; each has an equal part of the instances."""
    return [f"{int(PROJECT, 16) + number:032x}" for number in range(count)]


def _response(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\nX-Request-Id: 6b1f0c2d9a7e4835b1f0c2d9a7e48350\r\n\r\n"
    )
    return head.encode() + body


def _json(value: object) -> bytes:
    return _response("200 OK", json.dumps(value, separators=(",", ":")).encode())


_EMPTY_PAGE = _json({"count": 0, "items": []})
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_NOT_FOUND = _response("404 Not Found", b'{"error_code":"WKS.00211902","error_msg":"not found"}')


class Instances:
    """The records, and the answers that hold them, each rendered when it is first asked for."""

    def __init__(self, *, count: int, status: str, differs: str) -> None:
        self.ids = instance_ids(count)
        self.numbers = {instance_id: number for number, instance_id in enumerate(self.ids)}
        self._statuses = [status] * count
        self._differs = differs
        self._pages: dict[range, deque[bytes]] = {}
        self._singles: dict[int, bytes] = {}

    def page(self, numbers: range, total: int) -> bytes:
        """The answer to a list call: these of so many."""
        alternates = self._pages.get(numbers)
        if alternates is None:
            count = 1 if self._differs == "nothing" else _ALTERNATES
            alternates = deque(self._render_page(numbers, total, alternate) for alternate in range(count))
            self._pages[numbers] = alternates
        alternates.rotate(1)
        return alternates[0]

    def single(self, number: int) -> bytes:
        """The answer to a show call."""
        answer = self._singles.get(number)
        if answer is None:
            answer = self._singles[number] = _json(self.record(number))
        return answer

    def change(self, numbers: set[int], status: str) -> None:
        """Give these instances another status; what holds them is rendered again when it is asked for."""
        for number in numbers:
            self._statuses[number] = status
            self._singles.pop(number, None)
        for page in [page for page in self._pages if numbers.intersection(page)]:
            del self._pages[page]

    def _render_page(self, numbers: range, total: int, alternate: int) -> bytes:
        # One of a hundred, and not at the same place on every page.
        the_one = numbers.start + numbers.start // 100 % 100
        items = [
            self.record(number, alternate if self._differs == "every" or number == the_one else 0) for number in numbers
        ]
        return _json({"count": total, "items": items})

    def record(self, number: int, alternate: int = 0) -> dict[str, Any]:
        """What the cloud says of an instance."""
        digest = hashlib.blake2b(self.ids[number].encode()).hexdigest()
        return {
            "id": self.ids[number],
            "name": f"office-{number:06}",
            "description": f"state {alternate}",
            "image_ref": {
                "id": "b1e2c7d0-3f6a-4d15-9c41-5a0f2f6f9e11",
                "image_type": "gold",
                "spce_code": "78b3e72878a81a9b3bfd2b3c912c0f58",
                "product_id": "00301-1238008-0--0",
            },
            "server_group_id": digest[:32],
            "app_group_id": digest[32:64],
            "server_id": digest[64:96],
            "instance_id": digest[96:],
            "image_id": "9f3b7a52-6d1e-4c80-b7d4-2a90c5e1f386",
            "status": self._statuses[number],
            "authorize_accounts": [
                {"account": "li.wei@corp.example.com", "account_type": "USER", "domain": "corp.example.com"}
            ],
            "create_time": "2026-01-01T08:00:00.49Z",
            "update_time": f"2026-01-01T08:31:07.{alternate}6Z",
            "enterprise_project_id": "0",
        }


class News:
    """When each change was first shown, and when the webhook that tells of it arrived (monotonic seconds)."""

    def __init__(self) -> None:
        self._unseen: set[int] = set()
        self._wanted: dict[int, str] = {}
        self._waiting: dict[int, asyncio.Transport] = {}
        self.shown: dict[int, float] = {}
        self.arrived: dict[int, float] = {}

    def expect(self, numbers: set[int], status: str) -> None:
        """Forget the last changes; these instances have now changed to `status`."""
        self.shown.clear()
        self.arrived.clear()
        self._wanted = dict.fromkeys(numbers, status)
        self._unseen = set(numbers)

    def wait(self, number: int, transport: asyncio.Transport) -> None:
        """Answer on this connection when the webhook of this instance's change arrives."""
        self._waiting[number] = transport

    def answered(self, numbers: range) -> None:
        """An answer that shows these instances is about to be sent."""
        if self._unseen and (seen := self._unseen.intersection(numbers)):
            self._unseen -= seen
            self.shown.update(dict.fromkeys(seen, monotonic()))

    def told(self, number: int, status: str) -> None:
        """A webhook says that this instance now has this status."""
        if self._wanted.get(number) != status or number in self.arrived or number not in self.shown:
            return
        self.arrived[number] = monotonic()
        if transport := self._waiting.pop(number, None):
            transport.write(_json({"shown": self.shown[number], "arrived": self.arrived[number]}))


class FakeCloud:
    """What each request is answered with."""

    def __init__(self, instances: Instances, *, projects: int) -> None:
        self._instances = instances
        of_each = len(instances.ids) // projects
        self._projects = {
            project: range(place * of_each, (place + 1) * of_each)
            for place, project in enumerate(project_ids(projects))
        }
        self._news = News()
        self._counts = Counter(pages=0, singles=0, jobs=0, hooks=0, shown=0)

    def answer(self, target: str, body: bytes, transport: asyncio.Transport) -> bytes:
        """The bytes to send; none when the answer comes later."""
        path, _, query = target.partition("?")
        if path == HOOK_PATH:
            return self._hook(body)
        if path.startswith(CONTROL_PATH):
            return self._control(path.removeprefix(CONTROL_PATH), dict(parse_qsl(query)), transport)
        match path.split("/")[2:]:  # behind `/v1/`
            case [project, "image-servers"] if project in self._projects:
                return self._list(self._projects[project], dict(parse_qsl(query)))
            case [project, "image-servers", instance_id] if project in self._projects:
                return self._show(instance_id)
            case [project, "image-server-sub-jobs"] if project in self._projects:
                self._counts["jobs"] += 1
                return _EMPTY_PAGE
            case _:
                return _NOT_FOUND

    def _list(self, of_project: range, query: dict[str, str]) -> bytes:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 10))
        numbers = of_project[offset : offset + limit]
        self._counts["pages"] += 1
        self._counts["shown"] += len(numbers)
        self._news.answered(numbers)
        return self._instances.page(numbers, len(of_project))

    def _show(self, instance_id: str) -> bytes:
        self._counts["singles"] += 1
        number = self._instances.numbers.get(instance_id)
        if number is None:
            return _NOT_FOUND
        self._counts["shown"] += 1
        self._news.answered(range(number, number + 1))
        return self._instances.single(number)

    def _hook(self, body: bytes) -> bytes:
        self._counts["hooks"] += 1
        data = json.loads(body)["data"]
        for event in data.get("events", [data]):
            self._news.told(self._instances.numbers[event["instance_id"]], event["to"])
        return _NO_CONTENT

    def _control(self, action: str, query: dict[str, str], transport: asyncio.Transport) -> bytes:
        match action:
            case "counts":
                return _json(self._counts)
            case "change":  # answered when its webhook has arrived
                number = int(query["number"])
                self._change({number}, query["status"])
                self._news.wait(number, transport)
                return b""
            case "change-all":
                self._change(set(range(len(self._instances.ids))), query["status"])
                return _json({})
            case "times":
                ends = {"shown": _ends(self._news.shown), "arrived": _ends(self._news.arrived)}
                return _json({**ends, "hooks": self._counts["hooks"]})
            case _:
                return _NOT_FOUND

    def _change(self, numbers: set[int], status: str) -> None:
        self._instances.change(numbers, status)
        self._news.expect(numbers, status)


def _ends(times: dict[int, float]) -> dict[str, float]:
    return {"count": len(times), "first": min(times.values(), default=0.0), "last": max(times.values(), default=0.0)}


class Connection(asyncio.Protocol):
    """HTTP/1.1, kept alive, as far as well-behaved clients need it."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers go to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is now complete."""
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n") + 4) > 3:
            head = self._received[: end - 4]
            length = _LENGTH.search(head) if head.startswith(b"POST") else None
            whole = end + int(length[1]) if length else end
            if len(self._received) < whole:
                return
            body, self._received = self._received[end:whole], self._received[whole:]
            target = head.split(b" ", 2)[1].decode()
            if answer := self._cloud.answer(target, body, self._transport):
                self._transport.write(answer)


async def serve(instances: Instances, *, projects: int) -> None:
    """Serve until killed; prints the port."""
    cloud = FakeCloud(instances, projects=projects)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(cloud), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, required=True)
    parser.add_argument("--projects", type=int, default=1)
    parser.add_argument("--status", default="ACTIVE")
    parser.add_argument("--differs", choices=DIFFERS, default="nothing")
    arguments = parser.parse_args()
    instances = Instances(count=arguments.instances, status=arguments.status, differs=arguments.differs)
    asyncio.run(serve(instances, projects=arguments.projects))


if __name__ == "__main__":
    main()
