"""OpenAI's clips in virtual time: their states, their content behind the key, and their end."""

from __future__ import annotations

from typing import Any

from execution_arrow.providers.base import Call, Reply
from execution_arrow.sandbox import Fault, State
from tests.execution_arrow.sandbox.test_wire import World, play
from tests.execution_arrow.sandbox.wires import GPT_IMAGE, SORA


async def content(world: World, job: str, **headers: str) -> Reply:
    url = f"{world.sandbox.base_url('openai')}/videos/{job}/content"
    return await world.transport.send(Call(method="GET", url=url, headers=headers))


def test_a_clip_from_queue_to_oblivion():
    async def scene(world: World) -> None:
        key = {"authorization": "Bearer key"}
        made = await world.submit(SORA)
        path = f"{SORA.path}/{made['id']}"
        assert (made["object"], made["status"], made["progress"]) == ("video", "queued", 0)
        assert (await world.ask(SORA, "DELETE", path))[0] == 400  # there is no cancel
        world.clock.advance(510)
        _, running = await world.ask(SORA, "GET", path)
        assert (running["status"], running["progress"]) == ("in_progress", 50)
        assert (await content(world, made["id"], **key)).status == 404
        world.clock.advance(1000)
        _, done = await world.ask(SORA, "GET", path)
        assert (done["status"], done["progress"], done["size"]) == ("completed", 100, "720x1280")
        assert done["expires_at"] > done["completed_at"]
        assert (await content(world, made["id"])).status == 401
        clip = await content(world, made["id"], **key)
        assert (clip.headers["content-type"], clip.body[4:8]) == ("video/mp4", b"ftyp")
        world.clock.advance(86_400)
        assert (await content(world, made["id"], **key)).status == 404
        assert (await world.ask(SORA, "DELETE", path))[1]["deleted"] is True
        assert (await world.ask(SORA, "GET", path))[0] == 404
        assert [(bill.state, bill.amount) for bill in world.sandbox.bills()] == [(State.SUCCEEDED, 400_000)]

    play(scene)


def test_the_list_goes_on_where_it_stopped():
    async def scene(world: World) -> None:
        ids = [(await world.submit(SORA))["id"] for _ in range(5)]
        _, newest = await world.ask(SORA, "GET", "/videos?limit=2")
        assert ([row["id"] for row in newest["data"]], newest["has_more"]) == ([ids[4], ids[3]], True)
        _, rest = await world.ask(SORA, "GET", f"/videos?limit=9&after={newest['last_id']}")
        assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
        _, oldest = await world.ask(SORA, "GET", "/videos?order=asc&limit=1")
        assert [row["id"] for row in oldest["data"]] == ids[:1]

    play(scene)


def test_pictures_are_no_jobs():
    async def scene(world: World) -> None:
        answer = await world.soon(
            world.ask(GPT_IMAGE, "POST", GPT_IMAGE.path, dict(GPT_IMAGE.body), timeout=999), 200
        )
        assert answer[0] == 200
        assert answer[1]["size"] == "1536x864"
        picture = world.sandbox.jobs()[0]
        assert (await world.ask(SORA, "GET", f"/videos/{picture.id}"))[0] == 404
        assert (await world.ask(SORA, "GET", "/videos"))[1]["data"] == []

    play(scene)


def form(*parts: tuple[str, bytes]) -> tuple[dict[str, str], bytes]:
    lines = b"".join(
        b"--b\r\ncontent-disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), data)
        for head, data in parts
    )
    return {
        "content-type": "multipart/form-data; boundary=b",
        "authorization": "Bearer k",
    }, lines + b"--b--\r\n"


def test_forms_are_checked_like_json():
    async def scene(world: World) -> None:
        async def edit(*parts: tuple[str, bytes]) -> Any:
            headers, body = form(('name="model"', b"gpt-image-2"), ('name="prompt"', b"a hat"), *parts)
            url = f"{world.sandbox.base_url('openai')}/images/edits"
            call = Call(method="POST", url=url, headers=headers, content=body, timeout=0.01)
            return await world.transport.send(call)

        picture = ('name="image[]"; filename="a.png"', b"\x89PNG\r\n\r\n--")
        for wrong in [(), (picture, ('name="n"', b"11")), (picture, ('name="strength"', b"1"))]:
            assert (await edit(*wrong)).status == 400
        world.sandbox.fault("openai", Fault("moderation", times=1))
        assert world.sandbox.jobs() == ()
        task = world.soon(edit(picture, picture, ('name="n"', b"2")), 200)
        assert (await task).status == 400  # moderated: it was taken, then refused
        order = world.sandbox.jobs()[0].order
        assert (order.references, len(order.outputs), order.prompt) == (2, 2, "a hat")

    play(scene)
