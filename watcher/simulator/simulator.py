"""The simulated cloud as one object: builds the parts, serves them on a TCP port, and takes them down."""

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from aiohttp import web

from watcher.simulator.access import AccessKey, Keyring, Throttle, Tokens
from watcher.simulator.clock import SimulatedClock, pause, wall_now
from watcher.simulator.control import Control
from watcher.simulator.credentials import Credentials
from watcher.simulator.fault_effects import Pause
from watcher.simulator.faults import FaultBoard
from watcher.simulator.front_door import FrontDoor
from watcher.simulator.gatekeeper import Gatekeeper
from watcher.simulator.iam import Iam
from watcher.simulator.image_servers import ImageServers
from watcher.simulator.key_sources import KeySources
from watcher.simulator.player import Player
from watcher.simulator.request_log import RequestLog
from watcher.simulator.scenario import InstanceSpec, Scenario
from watcher.simulator.world import World


def default_scenario() -> Scenario:
    """Five instances at different points of their lives."""
    return Scenario(
        instances=(
            InstanceSpec(name="office-2026", status="BUILT"),
            InstanceSpec(name="office-2025", status="BUILT"),
            InstanceSpec(name="design-gpu", status="ACTIVE"),
            InstanceSpec(name="training-room", status="BUILDING"),
            InstanceSpec(name="call-centre", status="CREATING"),
        )
    )


class Simulator:
    """A cloud on loopback: API, IAM, metadata and control on one port. Use it as an async context manager.

    `scenario`: what it starts with; None is `default_scenario`, `Scenario()` an empty cloud. `port` 0 takes a free one.
    `speed` is simulated seconds in one real second (0: time stands still until `advance`); `clock` replaces the clock
    made from it. `real_now` (UTC) is what tokens, keys, lock-outs and throttling run on, `pause` what latency waits
    with. `seed` overrides the scenario's. The parts may be used, and the world filled, before it serves.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        speed: float = 1.0,
        seed: int | None = None,
        clock: SimulatedClock | None = None,
        real_now: Callable[[], datetime] = wall_now,
        pause: Pause = pause,
    ) -> None:
        scenario = default_scenario() if scenario is None else scenario
        seed = scenario.seed if seed is None else seed
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._real_now, self._pause = real_now, pause
        self.credentials = Credentials()
        self.clock = clock or SimulatedClock(speed=speed)
        self.world = World(now=self.clock, seed=seed, durations=scenario.durations, auto_build=scenario.auto_build)
        self.keys = Keyring(now=real_now, permanent=AccessKey(self.credentials.access_key, self.credentials.secret_key))
        self.tokens = Tokens(now=real_now)
        self.throttle = Throttle(
            now=real_now,
            requests_per_minute=scenario.throttle.requests_per_minute,
            retry_after=scenario.throttle.retry_after,
        )
        self.faults = FaultBoard(expire_tokens=self.tokens.expire_all, seed=seed)
        self.requests = RequestLog()
        self._player = Player(scenario, world=self.world, faults=self.faults)

    @property
    def url(self) -> str:
        """Where it serves, as `http://127.0.0.1:PORT`: the endpoint of the API, of IAM and of the metadata."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def pod_credentials_url(self) -> str:
        """The CCE pod endpoint, for HC_CONTAINER_CREDENTIALS_FULL_URI."""
        return f"{self.url}/pod-identity/credentials"

    @property
    def problems(self) -> list[str]:
        """The steps of the scenario that could not be carried out so far."""
        return self._player.problems

    def advance(self, seconds: float) -> None:
        """Moves simulated time forward and applies all that falls due. Raises ValueError if `seconds` is negative."""
        self.clock.advance(seconds)
        self.world.advance()

    async def start(self) -> None:
        """Begins to serve. Raises OSError if the port cannot be had."""
        # With cancellation a request that hangs ends when its client goes.
        runner = web.AppRunner(self._app(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Ends all connections, hanging ones included, and gives the port back."""
        self.faults.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _app(self) -> web.Application:
        known = self.credentials
        front_door = FrontDoor(
            now=self._real_now,
            pause=self._pause,
            project_id=known.project_id,
            world=self.world,
            faults=self.faults,
            gatekeeper=Gatekeeper(now=self._real_now, keys=self.keys, tokens=self.tokens),
            throttle=self.throttle,
            log=self.requests,
        )
        control = Control(
            clock=self.clock,
            world=self.world,
            faults=self.faults,
            throttle=self.throttle,
            log=self.requests,
            problems=self.problems,
        )
        servers = ImageServers(world=self.world, shown=self.clock.shown, project_id=known.project_id)
        iam = Iam(now=self._real_now, tokens=self.tokens, credentials=known)
        app = web.Application(middlewares=[front_door.middleware])
        for room in (servers, iam, KeySources(keys=self.keys, credentials=known), control):
            app.add_routes(room.routes())
        return app
