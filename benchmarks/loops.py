"""Clients that do nothing but ask and read, as processes: the least that aiohttp can do, and the official SDK.

`python -m benchmarks.loops bare|sdk URL INSTANCES SECONDS` asks for that long to warm up and again to measure, and
prints what the second time cost as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, process_time

import aiohttp

from benchmarks.server import PROJECT, SHOW_PATH, instance_ids
from watcher.cloud.exchange import Answer
from watcher.cloud.wire import parse_instance

CONCURRENCY = 16
WARM_UP_S = 0.5


async def bare(url: str, ids: Iterator[str], window_s: float) -> None:
    """GET and read as the product reads, and nothing else."""
    headers = {"X-Auth-Token": "t" * 100}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def worker(until_s: float) -> int:
            count = 0
            while monotonic() < until_s:
                instance_id = next(ids)
                async with session.get(url + SHOW_PATH + instance_id) as response:
                    answer = Answer(response.status, response.headers, await response.read())
                parse_instance(answer, asked=instance_id)
                count += 1
            return count

        async def run(length_s: float) -> int:
            until_s = monotonic() + length_s
            return sum(await asyncio.gather(*(worker(until_s) for _ in range(CONCURRENCY))))

        await run(WARM_UP_S)
        began_s = process_time()
        report(await run(window_s), process_time() - began_s)


def sdk(url: str, ids: Iterator[str], window_s: float) -> None:
    """ShowImageServer of the vendor's SDK in a pool of threads."""
    show = sdk_client(url)

    def worker(until_s: float) -> int:
        count = 0
        while monotonic() < until_s:
            instance_id = next(ids)
            assert show(instance_id) == instance_id
            count += 1
        return count

    with ThreadPoolExecutor(CONCURRENCY) as pool:

        def run(length_s: float) -> int:
            return sum(pool.map(worker, [monotonic() + length_s] * CONCURRENCY))

        run(WARM_UP_S)
        began_s = process_time()
        report(run(window_s), process_time() - began_s)


def sdk_client(url: str) -> Callable[[str], str]:
    """A call that asks for one instance and gives its id back."""
    model = importlib.import_module("huaweicloudsdkworkspaceapp.v1")
    credentials = importlib.import_module("huaweicloudsdkcore.auth.credentials")
    config = importlib.import_module("huaweicloudsdkcore.http.http_config").HttpConfig(pool_maxsize=CONCURRENCY)
    known = credentials.BasicCredentials("AKEXAMPLE", "SKEXAMPLE", PROJECT)
    builder = model.WorkspaceAppClient.new_builder().with_credentials(known).with_http_config(config)
    client = builder.with_endpoint(url).build()

    def show(instance_id: str) -> str:
        return str(client.show_image_server(model.ShowImageServerRequest(server_id=instance_id)).id)

    return show


def report(observations: int, cpu_s: float) -> None:
    """Print one result."""
    print(json.dumps({"observations": observations, "cpu_s": cpu_s}), flush=True)


def main() -> None:
    """Read the command line and run."""
    which, url, count, window_s = sys.argv[1:]
    ids = itertools.cycle(instance_ids(int(count)))
    if which == "bare":
        asyncio.run(bare(url, ids, float(window_s)))
    else:
        sdk(url, ids, float(window_s))


if __name__ == "__main__":
    main()
