"""Model Studio's tasks in virtual time: cancel while pending, unknown ones, defaults that cost."""

from __future__ import annotations

import pytest

from execution_arrow.sandbox import State
from tests.execution_arrow.sandbox.test_wire import World, play
from tests.execution_arrow.sandbox.wires import WAN, Wire

PICTURES = Wire(
    "alibabacloud",
    "/services/aigc/text2image/image-synthesis",
    {"model": "wan2.5-t2i-preview", "input": {"prompt": "a lighthouse"}},
    headers={"X-DashScope-Async": "enable"},
)


@pytest.mark.parametrize(
    ("at", "status", "afterwards", "amount"),
    [(5, 200, "CANCELED", 0), (500, 400, "SUCCEEDED", 250_000), (2000, 400, "SUCCEEDED", 250_000)],
)
def test_only_what_waits_is_canceled(at, status, afterwards, amount):
    async def scene(world: World) -> None:
        task = (await world.submit(WAN))["output"]["task_id"]
        world.clock.advance(at)
        answer = await world.ask(WAN, "POST", f"/tasks/{task}/cancel")
        assert answer[0] == status
        assert answer[1].get("code") == (None if status == 200 else "UnsupportedOperation")
        world.clock.advance(3000)
        _, told = await world.ask(WAN, "GET", f"/tasks/{task}")
        assert told["output"]["task_status"] == afterwards
        assert [bill.amount for bill in world.sandbox.bills()] == [amount]

    play(scene)


def test_the_shape_of_a_task_and_its_end():
    async def scene(world: World) -> None:
        submitted = (await world.submit(WAN))["output"]
        path = f"/tasks/{submitted['task_id']}"
        assert submitted["task_status"] == "PENDING"
        world.clock.advance(20)
        assert (await world.ask(WAN, "GET", path))[1]["output"]["task_status"] == "RUNNING"
        world.clock.advance(1500)
        _, done = await world.ask(WAN, "GET", path)
        assert done["output"]["video_url"].endswith(".mp4")
        assert done["usage"] == {
            "video_count": 1, "duration": 5, "output_video_duration": 5, "input_video_duration": 0,
            "size": "832*480", "SR": 480,
        }  # fmt: skip
        world.clock.advance(86_400)
        for name in (submitted["task_id"], "nobody"):
            status, gone = await world.ask(WAN, "GET", f"/tasks/{name}")
            assert (status, gone["output"]["task_status"]) == (200, "UNKNOWN")

    play(scene)


def test_pictures_that_nobody_counted_are_four():
    """The default of Wan's picture models quadruples a bill, here as there."""

    async def scene(world: World) -> None:
        task = (await world.submit(PICTURES))["output"]["task_id"]
        world.clock.advance(300)
        _, done = await world.ask(PICTURES, "GET", f"/tasks/{task}")
        assert len(done["output"]["results"]) == done["output"]["task_metrics"]["SUCCEEDED"] == 4
        assert [(bill.state, bill.amount) for bill in world.sandbox.bills()] == [(State.SUCCEEDED, 120_000)]

    play(scene)


def test_tasks_are_listed_by_status_and_model():
    async def scene(world: World) -> None:
        first = (await world.submit(WAN))["output"]["task_id"]
        world.clock.advance(20)
        second = (await world.submit(PICTURES))["output"]["task_id"]
        _, every = await world.ask(WAN, "GET", "/tasks")
        assert [row["task_id"] for row in every["data"]] == [second, first]
        _, running = await world.ask(WAN, "GET", "/tasks?status=RUNNING")
        assert [row["task_id"] for row in running["data"]] == [first]
        _, named = await world.ask(WAN, "GET", "/tasks?model_name=wan2.5-t2i-preview&page_size=1&page_no=2")
        assert (named["total"], named["data"]) == (1, [])

    play(scene)


def test_one_header_decides():
    async def scene(world: World) -> None:
        status, told = await world.ask(WAN, "POST", WAN.path, dict(WAN.body))
        assert (status, told["code"]) == (403, "AccessDenied")
        assert world.sandbox.jobs() == ()

    play(scene)
