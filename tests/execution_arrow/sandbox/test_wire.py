"""What each provider says, in process and in virtual time: no socket, no waiting."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.providers.base import Call
from execution_arrow.sandbox import Fault, Sandbox, Timing, VirtualClock
from execution_arrow.sandbox.webhooks import fal_headers, fal_keys
from execution_arrow.spool import read_spool
from tests.execution_arrow.sandbox.wires import (
    CLOUDFLARE,
    FAL,
    FLUX,
    GEN,
    GPT_IMAGE,
    IMAGES,
    QWEN,
    REPLICATE,
    SORA,
    VIDEOS,
    WAN,
    WIRES,
    Wire,
)

EXACT = Timing(queue=10, image=100, video=1000, jitter=0)


def told(wire: Wire) -> dict[str, str]:
    """The wire's own headers as arguments."""
    return {name.replace("-", "_"): value for name, value in wire.headers.items()}


class World:
    """A sandbox on a clock of its own, asked through its transport."""

    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock()
        self.sandbox = Sandbox(clock=self.clock, timing=EXACT, **options)
        self.transport = self.sandbox.transport()

    async def ask(
        self, wire: Wire, method: str, path: str, body: Any = None, *, timeout: float = 5, **headers: str
    ) -> tuple[int, Any]:
        url = path if path.startswith("http") else self.sandbox.base_url(wire.provider) + path
        call = Call(
            method=method,
            url=url,
            headers={
                "Authorization": wire.authorization,
                **{k.replace("_", "-"): v for k, v in headers.items()},
            },
            json=body,
            timeout=timeout,
        )
        reply = await self.transport.send(call)
        return reply.status, json.loads(reply.body)

    async def submit(self, wire: Wire, **headers: str) -> Any:
        status, body = await self.ask(wire, "POST", wire.path, dict(wire.body), **told(wire), **headers)
        assert status in (200, 201), body
        return body

    async def soon(self, asking: Awaitable[Any], seconds: float) -> Any:
        """The answer to a call that the server holds, after moving time on once it is held."""
        task = asyncio.ensure_future(asking)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        self.clock.advance(seconds)
        return await task


def play(scene: Callable[[World], Awaitable[None]], **options: Any) -> None:
    asyncio.run(scene(World(**options)))


# --- access, paths, input -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("authorization", ["", "Bearer ", "Basic abc"])
def test_a_credential_is_required(name, authorization):
    async def scene(world: World) -> None:
        wire = WIRES[name]
        status, _ = await world.ask(wire, "POST", wire.path, dict(wire.body), Authorization=authorization)
        assert status == (403 if wire.provider == "bfl" else 401)
        assert world.sandbox.jobs() == ()

    play(scene)


@pytest.mark.parametrize(
    ("wire", "path", "body", "status", "words"),
    [
        (REPLICATE, "/v1/models/a/b/predictions", {"input": {"prompt": "x"}}, 404, "not be found"),
        (REPLICATE, "/v1/predictions", {"version": "a/b", "input": {}}, 422, "Invalid version"),
        (REPLICATE, REPLICATE.path, {"input": {"prompt": "x"}, "priority": 1}, 422, "priority"),
        (REPLICATE, REPLICATE.path, {"input": {"prompt": "x", "frob": 1}}, 422, "input.frob"),
        (REPLICATE, REPLICATE.path, {"input": {"prompt": 3}}, 422, "input.prompt"),
        (REPLICATE, REPLICATE.path, {"prompt": "x"}, 422, "prompt"),
        (REPLICATE, REPLICATE.path, [], 400, "JSON"),
        (REPLICATE, "/v1/nowhere", {}, 404, "not be found"),
        (FAL, "/fal-ai/nope", {"prompt": "x"}, 404, "'nope' not found"),
        (FAL, FAL.path, [1], 400, "bad_request"),
        (IMAGES, IMAGES.path, {"prompt": "x"}, 400, "MissingParameter"),
        (IMAGES, IMAGES.path, {"model": IMAGES.model}, 400, "MissingParameter"),
        (IMAGES, IMAGES.path, {"model": "x", "prompt": "x"}, 404, "InvalidEndpointOrModel.NotFound"),
        (IMAGES, IMAGES.path, {**IMAGES.body, "size": "huge"}, 400, "`size`"),
        (IMAGES, IMAGES.path, {**IMAGES.body, "n": 2}, 400, "`n`"),
        (VIDEOS, VIDEOS.path, {**VIDEOS.body, "model": IMAGES.model}, 404, "NotFound"),
        (VIDEOS, VIDEOS.path, {**VIDEOS.body, "ratio": "5:4"}, 400, "`ratio`"),
        (CLOUDFLARE, "/accounts/0/ai/run/@cf/x/y", {"prompt": "x"}, 400, "5007"),
        (CLOUDFLARE, CLOUDFLARE.path, {"steps": 4}, 400, "3003"),
        (CLOUDFLARE, CLOUDFLARE.path, {"prompt": "x", "width": 512}, 400, "width"),
        (CLOUDFLARE, "/accounts/0/ai/nowhere", {}, 404, "No route"),
        (
            CLOUDFLARE,
            "/accounts/0/ai/run/@cf/black-forest-labs/flux-2-dev",
            {"prompt": "x"},
            400,
            "multipart",
        ),
        (GPT_IMAGE, GPT_IMAGE.path, {"model": "dall-e-3", "prompt": "x"}, 404, "model_not_found"),
        (GPT_IMAGE, GPT_IMAGE.path, {**GPT_IMAGE.body, "size": "1000x1000"}, 400, "multiples of 16"),
        (GPT_IMAGE, GPT_IMAGE.path, {**GPT_IMAGE.body, "size": "3840x640"}, 400, "at most 3:1"),
        (GPT_IMAGE, GPT_IMAGE.path, {**GPT_IMAGE.body, "response_format": "url"}, 400, "unknown_parameter"),
        (GPT_IMAGE, GPT_IMAGE.path, {"model": GPT_IMAGE.model}, 400, "missing_required_parameter"),
        (GPT_IMAGE, GPT_IMAGE.path, {**GPT_IMAGE.body, "stream": True}, 400, "does not stream"),
        (GPT_IMAGE, "/images/edits", GPT_IMAGE.body, 400, "needs its pictures"),
        (GPT_IMAGE, "/images/edits", {**GPT_IMAGE.body, "images": [{"url": "x"}]}, 400, "images.0"),
        (GPT_IMAGE, GPT_IMAGE.path, [], 400, "parse"),
        (GPT_IMAGE, "/images/variations", {}, 404, "Invalid URL"),
        (SORA, SORA.path, {**SORA.body, "seconds": "5"}, 400, "seconds"),
        (SORA, SORA.path, {**SORA.body, "seconds": 4}, 400, "seconds"),
        (SORA, SORA.path, {**SORA.body, "model": "gpt-image-2"}, 404, "model_not_found"),
        (QWEN, QWEN.path, {**QWEN.body, "model": "wan2.5-t2v-preview"}, 404, "ModelNotFound"),
        (QWEN, QWEN.path, {"model": QWEN.model}, 400, "InvalidParameter"),
        (QWEN, QWEN.path, {**QWEN.body, "parameters": {"size": "1664x928"}}, 400, "parameters.size"),
        (QWEN, WAN.path, WAN.body, 403, "does not support synchronous calls"),
        (QWEN, "/services/aigc/text2image/image-synthesis", {"prompt": "x"}, 400, '"model"'),
        (QWEN, "/nowhere", {}, 404, "NotFound"),
        (FLUX, FLUX.path, {**FLUX.body, "width": 1000}, 422, "multiple of 32"),
        (FLUX, FLUX.path, {**FLUX.body, "promt": "x"}, 422, "promt"),
        (FLUX, FLUX.path, [], 422, "not an object"),
        (FLUX, "/v1/flux-2-pro", {}, 422, "prompt is required"),
        (FLUX, "/v1/flux-kontext-pro", {"prompt": "x", "input_image": "eA=="}, 422, "could not be decoded"),
        (FLUX, "/v1/flux-pro-1.1-ultra", {"image_prompt": "https://x/a.png"}, 422, "is base64"),
        (FLUX, "/v1/nope", {}, 404, "Not Found"),
        (GEN, GEN.path, {**GEN.body, "model": "gen4_turbo"}, 400, "no model of text_to_video"),
        (GEN, GEN.path, {**GEN.body, "ratio": "16:9"}, 400, "invalid_enum_value"),
        (GEN, GEN.path, {**GEN.body, "prompt": "x"}, 400, "unrecognized_keys"),
        (GEN, GEN.path, [], 400, "Required"),
        (GEN, "/v1/text_to_sound", {}, 404, "Not found"),
    ],
)
def test_what_the_real_one_refuses_is_refused(wire, path, body, status, words):
    async def scene(world: World) -> None:
        got, answer = await world.ask(wire, "POST", path, body, **told(wire))
        assert got == status, answer
        assert words in str(answer)
        assert world.sandbox.jobs() == ()

    play(scene)


def test_fal_checks_the_input_when_it_runs():
    async def scene(world: World) -> None:
        _, taken = await world.ask(FAL, "POST", FAL.path, {"image_size": "huge"})
        world.clock.advance(20)
        status, answer = await world.ask(FAL, "GET", taken["response_url"])
        assert status == 422
        assert {tuple(item["loc"]) for item in answer["detail"]} == {
            ("body", "image_size"),
            ("body", "prompt"),
        }
        assert [bill.amount for bill in world.sandbox.bills()] == [0]

    play(scene)


def test_fal_ignores_names_it_does_not_know():
    async def scene(world: World) -> None:
        _, taken = await world.ask(FAL, "POST", FAL.path, {**FAL.body, "frob": 1})
        world.clock.advance(200)
        assert (await world.ask(FAL, "GET", taken["response_url"]))[0] == 200

    play(scene)


def test_byteplus_takes_the_nulls_of_its_official_client():
    """The body as the SDK sends it: every parameter that was not set is null."""
    body = {
        "model": "seedream-4-0-250828", "prompt": "a lighthouse", "image": None, "response_format": "url",
        "size": "2K", "seed": None, "guidance_scale": None, "watermark": False, "optimize_prompt": None,
        "optimize_prompt_options": None, "sequential_image_generation": None,
        "sequential_image_generation_options": None, "tools": None, "output_format": None,
        "layer_decomposition": None,
    }  # fmt: skip

    async def scene(world: World) -> None:
        status, answer = await world.soon(world.ask(IMAGES, "POST", IMAGES.path, body), 200)
        assert status == 200
        assert answer["data"][0]["size"] == "2048x2048"
        assert answer["usage"] == {"generated_images": 1, "output_tokens": 16384, "total_tokens": 16384}

    play(scene)


def test_added_models_take_any_input():
    async def scene(world: World) -> None:
        path = "/v1/deployments/acme/image/predictions"
        status, answer = await world.ask(REPLICATE, "POST", path, {"input": {"anything": 1}})
        assert (status, answer["deployment"]) == (201, "acme/image")
        task = {"model": "ep-1", "content": [{"type": "text", "text": "x"}]}
        assert (await world.ask(VIDEOS, "POST", VIDEOS.path, task))[0] == 200

    play(scene, models={"replicate": {"acme/image": "image"}, "byteplus": {"ep-1": "video"}})


# --- shapes (as the official clients' types and recordings of them have it) -----------------------------


def test_the_shape_of_a_prediction():
    async def scene(world: World) -> None:
        made = await world.submit(REPLICATE)
        needed = {
            "id",
            "model",
            "version",
            "input",
            "output",
            "data_removed",
            "error",
            "status",
            "created_at",
            "urls",
        }
        assert needed <= made.keys()
        assert made["urls"].keys() >= {"get", "cancel", "web"}
        assert "started_at" not in made
        world.clock.advance(50)
        _, running = await world.ask(REPLICATE, "GET", made["urls"]["get"])
        assert (running["status"], "started_at" in running, "completed_at" in running) == (
            "processing",
            True,
            False,
        )
        world.clock.advance(100)
        _, done = await world.ask(REPLICATE, "GET", made["urls"]["get"])
        assert done["metrics"] == {"predict_time": 100.0, "total_time": 110.0}

    play(scene)


def test_the_shapes_of_a_queue():
    async def scene(world: World) -> None:
        taken = await world.submit(FAL)
        assert taken.keys() >= {
            "status",
            "request_id",
            "response_url",
            "status_url",
            "cancel_url",
            "queue_position",
        }
        assert "/fal-ai/bytedance/requests/" in taken["status_url"]  # owner and app, no sub-path
        seen = []
        for seconds in (0, 50, 100):
            world.clock.advance(seconds)
            status, body = await world.ask(FAL, "GET", taken["status_url"] + "?logs=true")
            seen.append((status, body["status"], "queue_position" in body, "logs" in body))
            early, _ = await world.ask(FAL, "GET", taken["response_url"])
            seen.append(early)
        assert seen == [
            (202, "IN_QUEUE", True, True), 400, (202, "IN_PROGRESS", False, True), 400,
            (200, "COMPLETED", False, True), 200,
        ]  # fmt: skip

    play(scene)


def test_the_shape_of_a_task():
    async def scene(world: World) -> None:
        name = (await world.submit(VIDEOS))["id"]
        assert name.startswith("cgt-2025")
        common = {
            "id",
            "model",
            "status",
            "created_at",
            "updated_at",
            "service_tier",
            "execution_expires_after",
        }
        _, queued = await world.ask(VIDEOS, "GET", f"{VIDEOS.path}/{name}")
        assert (queued.keys(), queued["status"]) == (common, "queued")
        world.clock.advance(20)
        assert (await world.ask(VIDEOS, "GET", f"{VIDEOS.path}/{name}"))[1]["status"] == "running"
        world.clock.advance(2000)
        _, done = await world.ask(VIDEOS, "GET", f"{VIDEOS.path}/{name}")
        more = {"content", "usage", "seed", "resolution", "ratio", "duration", "framespersecond"}
        assert done.keys() == common | more
        assert (done["status"], done["resolution"], done["duration"]) == ("succeeded", "480p", 2)

    play(scene)


def test_a_group_of_pictures():
    async def scene(world: World) -> None:
        body = {
            **IMAGES.body, "sequential_image_generation": "auto",
            "sequential_image_generation_options": {"max_images": 3},
        }  # fmt: skip
        _, answer = await world.soon(world.ask(IMAGES, "POST", IMAGES.path, body), 200)
        assert (len(answer["data"]), answer["usage"]["generated_images"]) == (3, 3)
        assert [bill.amount for bill in world.sandbox.bills()] == [120_000]

    play(scene)


# --- deadlines, cancels, lists, ageing ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "seconds", "status"),
    [("5s", 5, "aborted"), ("1m", 60, "canceled"), ("1h30m", 110, "succeeded")],
)
def test_replicates_own_deadline(after, seconds, status):
    async def scene(world: World) -> None:
        made = await world.submit(REPLICATE, Cancel_After=after)
        assert made["deadline"] > made["created_at"]
        world.clock.advance(seconds)
        assert (await world.ask(REPLICATE, "GET", made["urls"]["get"]))[1]["status"] == status

    play(scene)


def test_replicate_cancels_for_the_time_it_ran():
    async def scene(world: World) -> None:
        made = await world.submit(REPLICATE)
        world.clock.advance(35)
        _, canceled = await world.ask(REPLICATE, "POST", made["urls"]["cancel"])
        assert (canceled["status"], canceled["metrics"]["predict_time"]) == ("canceled", 25.0)
        assert [bill.amount for bill in world.sandbox.bills()] == [10_000]

    play(scene)


def test_replicate_forgets_outputs_and_files_after_an_hour():
    async def scene(world: World) -> None:
        made = await world.submit(REPLICATE)
        world.clock.advance(110)
        _, done = await world.ask(REPLICATE, "GET", made["urls"]["get"])
        world.clock.advance(3600)
        _, later = await world.ask(REPLICATE, "GET", made["urls"]["get"])
        assert (later["status"], later["output"], later["data_removed"]) == ("succeeded", None, True)
        assert (await world.ask(REPLICATE, "GET", done["output"][0]))[0] == 404

    play(scene)


def test_replicate_lists_newest_first_and_by_time():
    async def scene(world: World) -> None:
        names = []
        for _ in range(3):
            names.append((await world.submit(REPLICATE))["id"])
            world.clock.advance(60)
        _, listed = await world.ask(REPLICATE, "GET", "/v1/predictions")
        assert [item["id"] for item in listed["results"]] == names[::-1]
        middle = listed["results"][1]["created_at"]
        _, recent = await world.ask(REPLICATE, "GET", f"/v1/predictions?created_after={middle}")
        assert [item["id"] for item in recent["results"]] == names[:0:-1]

    play(scene)


def test_replicate_pages_its_list():
    async def scene(world: World) -> None:
        for _ in range(130):
            await world.submit(REPLICATE)
        _, first = await world.ask(REPLICATE, "GET", "/v1/predictions")
        _, second = await world.ask(REPLICATE, "GET", first["next"])
        assert (len(first["results"]), len(second["results"]), second["next"]) == (100, 30, None)

    play(scene)


@pytest.mark.parametrize(
    ("at", "deleted", "afterwards", "amount"),
    [(0, 200, "cancelled", 0), (50, 409, "running", None), (5000, 200, None, 48_600)],
)
def test_byteplus_delete_cancels_refuses_or_erases(at, deleted, afterwards, amount):
    async def scene(world: World) -> None:
        path = f"{VIDEOS.path}/{(await world.submit(VIDEOS))['id']}"
        world.clock.advance(at)
        assert (await world.ask(VIDEOS, "DELETE", path, {}))[0] == deleted
        status, task = await world.ask(VIDEOS, "GET", path)
        assert task.get("status") == afterwards
        assert status == (404 if afterwards is None else 200)
        assert [bill.amount for bill in world.sandbox.bills()] == ([] if amount is None else [amount])

    play(scene)


def test_byteplus_lists_with_filters():
    async def scene(world: World) -> None:
        first = (await world.submit(VIDEOS))["id"]
        world.clock.advance(5000)
        second = (await world.submit(VIDEOS))["id"]
        for query, expected in [
            ("", [second, first]),
            ("?filter.status=queued", [second]),
            (f"?filter.task_ids={first}&filter.task_ids=x", [first]),
            ("?page_num=2&page_size=1", [first]),
            ("?filter.model=other", []),
        ]:
            _, listed = await world.ask(VIDEOS, "GET", VIDEOS.path + query)
            assert [item["id"] for item in listed["items"]] == expected, query

    play(scene)


def test_byteplus_reads_the_knobs_of_older_prompts():
    async def scene(world: World) -> None:
        text = {"type": "text", "text": "waves on rocks --ratio 9:16 --dur 3 --rs 720p"}
        body = {"model": VIDEOS.model, "content": [text]}
        await world.ask(VIDEOS, "POST", VIDEOS.path, body)
        (output,) = world.sandbox.jobs()[0].order.outputs
        assert (output.width, output.height, output.seconds) == (704, 1248, 3)
        assert world.sandbox.jobs()[0].order.prompt == "waves on rocks"

    play(scene)


def test_fal_cancels():
    async def scene(world: World) -> None:
        queued = await world.submit(FAL)
        assert await world.ask(FAL, "PUT", queued["cancel_url"]) == (
            202,
            {"status": "CANCELLATION_REQUESTED"},
        )
        assert (await world.ask(FAL, "GET", queued["response_url"]))[0] == 499
        running = await world.submit(FAL)
        world.clock.advance(50)
        assert (await world.ask(FAL, "PUT", running["cancel_url"]))[0] == 202
        assert await world.ask(FAL, "PUT", running["cancel_url"]) == (400, {"status": "ALREADY_COMPLETED"})
        missing = running["cancel_url"].replace(running["request_id"], "x")
        assert await world.ask(FAL, "PUT", missing) == (404, {"status": "NOT_FOUND"})
        assert [bill.amount for bill in world.sandbox.bills()] == [0, 40_000]

    play(scene)


# --- the transport --------------------------------------------------------------------------------------


def test_the_transport_tells_not_sent_from_maybe_sent():
    async def scene(world: World) -> None:
        world.sandbox.fault("replicate", "down")
        with pytest.raises(NotSentError):
            await world.submit(REPLICATE)
        world.sandbox.heal()
        world.sandbox.fault("replicate", "lost_reply")
        with pytest.raises(MaybeSentError):
            await world.submit(REPLICATE)
        with pytest.raises(NotSentError, match="does not listen"):
            await world.ask(REPLICATE, "GET", "http://elsewhere.invalid/v1/predictions")
        assert len(world.sandbox.jobs()) == 1

    play(scene)


def test_the_transport_keeps_its_timeout():
    async def scene(world: World) -> None:
        with pytest.raises(MaybeSentError, match="no answer within"):
            await world.ask(IMAGES, "POST", IMAGES.path, dict(IMAGES.body), timeout=0.05)

    play(scene)


def test_the_transport_spools(tmp_path):
    async def scene(world: World) -> None:
        call = Call(
            method="POST",
            url=world.sandbox.base_url("cloudflare") + CLOUDFLARE.path,
            headers={"authorization": "Bearer x"},
            json=dict(CLOUDFLARE.body),
        )
        reply = await world.soon(world.transport.send(call, spool=tmp_path / "reply"), 200)
        assert read_spool(tmp_path / "reply") == reply  # in the form in which it is looked for after a crash
        assert base64.b64decode(json.loads(reply.body)["result"]["image"])[:3] == b"\xff\xd8\xff"

        (tmp_path / "file").touch()
        with pytest.raises(MaybeSentError, match="could not be kept"):
            await world.soon(world.transport.send(call, spool=tmp_path / "file" / "reply"), 200)

    play(scene)


def test_virtual_time_is_what_a_held_call_waits_for():
    """100 s of work take no time at all."""

    async def scene(world: World) -> None:
        begun = time.monotonic()
        await world.soon(world.ask(IMAGES, "POST", IMAGES.path, dict(IMAGES.body)), 110)
        assert time.monotonic() - begun < 2

    play(scene)


# --- callbacks ------------------------------------------------------------------------------------------


def test_fals_signature_verifies_with_its_published_key():
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    body = b'{"request_id": "r1"}'
    headers = fal_headers("r1", body, 1_763_600_000.0)
    text = fal_keys()["keys"][0]["x"]
    key = ed25519.Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    signed = "\n".join(
        (
            headers["x-fal-webhook-request-id"],
            headers["x-fal-webhook-user-id"],
            headers["x-fal-webhook-timestamp"],
            hashlib.sha256(body).hexdigest(),
        )
    )
    key.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), signed.encode())


def test_a_callback_that_nobody_answers_is_tried_three_times():
    async def scene(world: World) -> None:
        hook = "http://127.0.0.1:9/hook"  # nobody listens on the discard port
        _, taken = await world.ask(FAL, "POST", f"{FAL.path}?fal_webhook={hook}", dict(FAL.body))
        await world.ask(FAL, "PUT", taken["cancel_url"])  # a cancel ends the wait for the end
        for _ in range(200):
            await asyncio.sleep(0.01)
            world.clock.advance(1)
            if len(world.sandbox.deliveries()) == 3:
                break
        tries = world.sandbox.deliveries()
        assert [(item.state, item.status, item.url) for item in tries] == [("canceled", None, hook)] * 3
        assert "ConnectError" in str(tries[0].error)
        await world.transport.aclose()

    play(scene)


def test_a_fault_of_an_unknown_provider_is_refused():
    with pytest.raises(
        ValueError, match="it has alibabacloud, bfl, byteplus, cloudflare, fal, openai, replicate, runway"
    ):
        Sandbox(faults={"nobody": ["down"]})
    with pytest.raises(ValueError, match="it has"):
        Sandbox().base_url("nobody")
    assert Fault("down").is_outage
