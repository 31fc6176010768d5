"""Input files in flight share their memory: under the limit, in turn, and never standing still."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import InputRetry
from execution_arrow.inputs.bodies import filled
from execution_arrow.inputs.fetching import EgressInputs
from execution_arrow.inputs.room import COPIES, Room
from execution_arrow.ports import InputFile
from execution_arrow.providers.base import Call
from execution_arrow.transport.written import write
from tests.execution_arrow.providers import samples as s
from tests.execution_arrow.transport.kit import Server, answer, serving

PNG = b"\x89PNG\r\n\x1a\n"
KB = 1 << 10


def files(size: int, *, announced: bool = True) -> Any:
    """A server of pictures of so many bytes."""

    async def script(server: Server, reader: Any, writer: Any) -> None:
        while True:
            await server.read(reader)
            body = PNG + bytes(size - len(PNG))
            chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
            writer.write(answer(body) if announced else chunked % (size, body))
            await writer.drain()

    return script


@pytest.mark.parametrize(("size", "announced", "limit"), [(100 * KB, True, 1000 * KB), (10, False, 9 << 20)])
def test_many_at_once_stay_under_the_limit(size: int, announced: bool, limit: int) -> None:
    """Two fit at a time; all of them get their turn, and a call is as long as it likes."""
    room, seen = Room(limit), []

    async def one(inputs: EgressInputs, url: str) -> None:
        async with inputs.fetch([url]) as found:
            seen.append(room.taken)
            assert len(found[url].data) == size
            await asyncio.sleep(0.005)  # the call
            seen.append(room.taken)

    async def main() -> None:
        async with serving(files(size, announced=announced)) as server:
            inputs = EgressInputs(EgressPolicy(allow_loopback=True), room=room)
            await asyncio.gather(*(one(inputs, f"{server.url}/{number}") for number in range(12)))
            await inputs.aclose()

    asyncio.run(main())
    assert len(seen) == 24
    assert max(seen) <= limit
    assert max(seen) > limit / 2  # and not one by one
    assert room.taken == 0


def test_a_request_larger_than_the_room_has_it_for_itself() -> None:
    order: list[str] = []

    async def one(room: Room, name: str, *sizes: int) -> None:
        async with room.guest() as guest:
            for size in sizes:
                await guest.take(size)
            order.append(f"{name} in, {room.taken}")
            await asyncio.sleep(0)
        order.append(f"{name} out")

    async def main() -> None:
        room = Room(100)
        await asyncio.gather(one(room, "small", 60), one(room, "huge", 500), one(room, "late", 1))

    asyncio.run(main())
    assert order == ["small in, 60", "small out", "huge in, 500", "huge out", "late in, 1", "late out"]


def test_who_holds_a_part_and_waits_for_another_is_not_waited_for() -> None:
    """Two requests of two files each: neither can leave without more, so the older one goes on."""
    order: list[str] = []

    async def one(room: Room, name: str) -> None:
        async with room.guest() as guest:
            await guest.take(50)
            await asyncio.sleep(0)
            await guest.take(50)
            order.append(name)

    async def main() -> None:
        room = Room(100)
        await asyncio.wait_for(asyncio.gather(one(room, "older"), one(room, "younger")), 5)

    asyncio.run(main())
    assert order == ["older", "younger"]


def test_who_waits_too_long_comes_again_later() -> None:
    room = Room(10)

    async def main() -> None:
        inputs = EgressInputs(room=room, patience=0.05)
        async with room.guest() as guest:
            await guest.take(10)
            with pytest.raises(InputRetry, match="took all room"):
                async with inputs.fetch(["https://files.example/a.png"]):
                    raise AssertionError
        async with room.guest() as guest:  # who gave up has left no gap in the queue
            await asyncio.wait_for(guest.take(10), 5)
        await inputs.aclose()

    asyncio.run(main())
    assert room.taken == 0


def test_waiting_for_room_does_not_count_as_time_of_the_file() -> None:
    """A file that has been asked for waits for others, whose calls may take minutes: that is not late."""
    room = Room(500 * KB)

    async def main() -> None:
        async with serving(files(100 * KB)) as server:
            inputs = EgressInputs(EgressPolicy(allow_loopback=True), room=room, timeout=0.5)
            async with room.guest() as guest:
                await guest.take(200 * KB)
                mine = asyncio.create_task(whole(inputs, server.url))
                await asyncio.sleep(0.8)
            assert await mine == 100 * KB
            await inputs.aclose()

    async def whole(inputs: EgressInputs, url: str) -> int:
        async with inputs.fetch([f"{url}/a"]) as found:
            return len(found[f"{url}/a"].data)

    asyncio.run(main())


def test_loops_of_several_threads_share_it() -> None:
    room, inside, worst = Room(10), 0, 0
    lock = threading.Lock()

    async def one() -> None:
        nonlocal inside, worst
        async with room.guest() as guest:
            await guest.take(10)
            with lock:
                inside += 1
                worst = max(worst, inside)
            await asyncio.sleep(0)
            with lock:
                inside -= 1

    async def several() -> None:
        await asyncio.wait_for(asyncio.gather(*(one() for _ in range(20))), 20)

    threads = [threading.Thread(target=asyncio.run, args=(several(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (worst, inside, room.taken) == (1, 0, 0)


def test_whose_loop_is_gone_holds_up_nobody() -> None:
    room = Room(10)
    dead = asyncio.new_event_loop()

    async def waiting() -> None:
        async with room.guest() as guest:
            await guest.take(10)

    async def main() -> None:
        async with room.guest() as guest:
            await guest.take(10)
            lost = dead.create_task(waiting())
            await asyncio.to_thread(dead.run_until_complete, asyncio.sleep(0))
            dead.close()
            lost._log_destroy_pending = False  # type: ignore[attr-defined]
        async with room.guest() as guest:
            await asyncio.wait_for(guest.take(10), 5)

    asyncio.run(main())
    assert room.taken == 0


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 150), min_size=1, max_size=3), min_size=1, max_size=8), st.booleans())
def test_everybody_gets_in_and_the_room_is_empty_at_the_end(asked: list[list[int]], cancel: bool) -> None:
    peak = 0

    async def one(room: Room, sizes: list[int]) -> None:
        nonlocal peak
        async with room.guest() as guest:
            for size in sizes:
                await guest.take(size)
                peak = max(peak, room.taken)
                await asyncio.sleep(0)

    async def main() -> int:
        room = Room(100)
        tasks = [asyncio.create_task(one(room, sizes)) for sizes in asked]
        await asyncio.sleep(0)
        if cancel:
            tasks[len(tasks) // 2].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        return room.taken

    assert asyncio.run(main()) == 0
    if all(len(sizes) == 1 for sizes in asked):
        assert peak <= max(100, *(size for (size,) in asked))


def test_a_file_takes_no_more_than_it_is_counted_for() -> None:
    """From its bytes to what is sent, measured; the bytes as they come in are one copy more for a moment."""
    size = 8 << 20
    marker = {"$fetch": "u", "as": "data_url"}
    asked = s.payload("openai", "/x", {"image": marker}, fetches=("u",))
    tracemalloc.start()
    try:
        files = {"u": InputFile(data=bytes(size), media_type="image/png")}
        body = filled(asked, files).body
        request = write(Call(method="POST", url="http://h/", json=body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert request.length > size * 4 / 3
    assert peak < COPIES * size
