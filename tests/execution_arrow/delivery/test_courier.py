"""Delivering against a real socket: order, repetition, starvation, death and replay."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from execution_arrow.delivery import verify_webhook
from execution_arrow.delivery.policy import delivery_id
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import MissingCredentials, RequestRejected, UnknownEndpoint, WebhookRejected
from execution_arrow.machine.state import Event
from execution_arrow.signing import Signature, check_babysea
from execution_arrow.stores.base import Committed
from execution_arrow.stores.outgoing import TakeDeliveries
from execution_arrow.testing.steps import NOW, commit_of, one, owned
from tests.execution_arrow.delivery.kit import KEYS, Clock, Post, Received, post_office, receiving, run
from tests.execution_arrow.transport.kit import answer

DOWN, FINE = answer(b"no", "503 Service Unavailable"), answer(b"", "204 No Content")


async def come_back(post: Post, times: int = 99) -> int:
    """Let time pass to whatever is due next, so often; returns how many deliveries were tried."""
    tried = 0
    for _ in range(times):
        waiting = post.store.deliveries(None, "waiting", None, 1000)
        if not waiting:
            break
        post.clock.at = max(post.clock.at, min(delivery.next_at for delivery in waiting))
        tried += await post.desk.deliver()
    return tried


def keys(got: list[Received]) -> list[str]:
    return [json.loads(one.body)["webhook_data"]["key"] for one in got]


@run
async def test_a_failed_delivery_is_the_same_message_again_until_it_arrives() -> None:
    async with (
        receiving(DOWN, answer(b"", "302 Found", "Location: /other"), FINE) as receiver,
        post_office() as post,
    ):
        endpoint = await post.desk.add(f"{receiver.url}/hook")
        assert await post.tell("a") == 1
        assert await come_back(post) == 3
        assert [one.path for one in receiver.got] == ["/hook"] * 3
        assert len({(one.body, one.headers["webhook-id"]) for one in receiver.got}) == 1
        times = [int(one.headers["webhook-timestamp"]) for one in receiver.got]
        assert times == sorted(times)
        secret = (await post.desk.secret(endpoint.id)).reveal()
        for one in receiver.got:
            verify_webhook(one.headers, one.body, secret, now=post.clock.at)
            assert (
                check_babysea(one.headers["x-babysea-signature"], one.body, [secret], NOW) is Signature.VALID
            )
        (done,) = await post.desk.deliveries()
        assert (done.state, done.tries, done.answer, done.claim) == ("delivered", 3, 204, 3)
        assert receiver.got[0].headers["x-babysea-delivery-id"] == delivery_id(done)
        assert (await post.desk.get(endpoint.id)).failures == 0


@run
async def test_a_machine_with_a_wrong_clock_signs_the_stores_time() -> None:
    """What is signed more than five minutes away from the receiver's time is stale, and never believed."""
    clock = Clock()
    async with receiving() as receiver, post_office(clock=clock, machine=Clock(clock.at - 900)) as post:
        endpoint = await post.desk.add(receiver.url)
        await post.tell("a")
        await post.desk.deliver()
        secret = (await post.desk.secret(endpoint.id)).reveal()
        verify_webhook(receiver.got[0].headers, receiver.got[0].body, secret, now=clock.at)


@run
async def test_events_of_one_generation_arrive_in_order_whatever_fails() -> None:
    async with receiving(DOWN, DOWN, FINE) as receiver, post_office() as post:
        await post.desk.add(receiver.url)
        row = owned(post.store)
        events = [Event(no=no, type=f"e{no}", at=NOW) for no in (1, 2, 3)]
        one(post.store, commit_of(row, events=events), Committed)
        for delivery in post.store.deliveries(
            None, None, None, 9
        ):  # what is told of it is not the point here
            key = (delivery.endpoint, delivery.subject, delivery.no)
            post.store._outbox._deliveries[key] = replace_body(delivery)  # type: ignore[attr-defined]
        await come_back(post)
        assert [one.headers["x-babysea-event"] for one in receiver.got] == ["e1", "e1", "e1", "e2", "e3"]


def replace_body(delivery: Any) -> Any:
    from dataclasses import replace

    return replace(delivery, body="{}")


@run
async def test_an_endpoint_that_never_answers_costs_others_nothing() -> None:
    async with receiving(FINE) as receiver, post_office(each=2, timeout=30.0, at_once=4) as post:
        slow = await post.desk.add(f"{receiver.url}/slow")
        await post.desk.add(f"{receiver.url}/fast")
        for number in range(30):
            assert await post.tell(f"{number}") == 2
        serving = asyncio.create_task(post.courier.serve())
        await receiver.until(lambda: sum(one.path == "/fast" for one in receiver.got) == 30)
        assert receiver.open == sum(one.path == "/slow" for one in receiver.got) == 2
        await post.courier.stop(0.0)
        await serving
        waiting = await post.desk.deliveries(endpoint=slow.id, state="waiting", limit=99)
        assert len(waiting) == 30


@run
async def test_one_that_fails_has_one_try_under_way_at_a_time() -> None:
    async with receiving(DOWN, FINE) as receiver, post_office(each=4, timeout=0.2) as post:
        endpoint = await post.desk.add(f"{receiver.url}/hook")
        await post.tell("first")
        await post.desk.deliver()
        assert (await post.desk.get(endpoint.id)).failures == 1
        for number in range(5):
            await post.tell(f"{number}")
        assert (await post.courier._look())[0] == 1
        await asyncio.wait(post.courier._tasks)


@run
async def test_what_cannot_be_delivered_is_dead_and_a_replay_is_a_new_delivery_of_the_same_event() -> None:
    async with receiving(DOWN) as receiver, post_office(pauses=(1.0, 2.0)) as post:
        endpoint = await post.desk.add(receiver.url)
        await post.tell("a")
        assert await come_back(post) == 3
        (dead,) = await post.desk.deliveries(state="dead")
        assert (dead.tries, dead.answer) == (3, 503)
        receiver.answers = [FINE]
        assert await post.desk.replay(endpoint.id) == 1
        assert await post.desk.replay(endpoint.id) == 0
        assert await come_back(post) == 1
        first, *_, last = receiver.got
        assert first.headers["webhook-id"] == last.headers["webhook-id"]
        assert first.headers["x-babysea-delivery-id"] != last.headers["x-babysea-delivery-id"]
        told = [json.loads(one.body)["webhook_timestamp"] for one in receiver.got]
        assert told[0] == told[1] == told[2] < told[3] == last.headers["x-babysea-timestamp"]
        assert await post.desk.replay(endpoint.id, generation="a", no=1) == 1  # once more, though it arrived
        post.clock.at += 72 * 3600 + 20_000
        assert await post.desk.deliver() == 1
        post.clock.at += 72 * 3600 + 1
        await post.desk.deliver()
        assert await post.desk.deliveries() == []


@run
async def test_an_address_that_is_down_for_an_hour_is_given_up_and_its_events_are_kept() -> None:
    async with receiving(DOWN) as receiver, post_office(give_up_after=5) as post:
        endpoint = await post.desk.add(receiver.url)
        for number in range(3):
            await post.tell(f"{number}")
        while not (found := await post.desk.get(endpoint.id)).disabled:
            await come_back(post, 1)
        assert found.disabled == "failing"
        assert post.clock.at - NOW >= 3600
        assert await post.tell("later") == 0
        assert len(await post.desk.deliveries(state="dead")) == 4
        with pytest.raises(RequestRejected, match="disabled"):
            await post.desk.replay(endpoint.id)
        receiver.answers, receiver.got = [FINE], []
        enabled = await post.desk.enable(endpoint.id)
        assert (enabled.disabled, enabled.failures) == ("", 0)
        assert await post.desk.replay(endpoint.id) == 4
        await come_back(post)
        assert sorted(keys(receiver.got)) == ["0", "1", "2", "later"]


@run
async def test_a_receiver_that_says_gone_is_not_asked_again() -> None:
    async with receiving(answer(b"", "410 Gone")) as receiver, post_office() as post:
        endpoint = await post.desk.add(receiver.url)
        await post.tell("a")
        await post.desk.deliver()
        assert (await post.desk.get(endpoint.id)).disabled == "gone"
        assert await come_back(post) == 0
        assert len(receiver.got) == 1


@run
async def test_while_a_secret_is_changed_either_is_enough_and_then_only_the_new_one() -> None:
    async with receiving(FINE) as receiver, post_office() as post:
        endpoint = await post.desk.add(receiver.url)
        old = (await post.desk.secret(endpoint.id)).reveal()
        await post.desk.rotate(endpoint.id, keep=600)
        new = (await post.desk.secret(endpoint.id)).reveal()
        assert new != old
        for key, later in (("a", 1), ("b", 601)):
            post.clock.at = NOW + later
            await post.tell(key)
            await post.desk.deliver()
        during, after = receiver.got
        for secret in (old, new):
            verify_webhook(during.headers, during.body, secret, now=NOW)
        stamped = during.headers["x-babysea-signature"]
        assert check_babysea(stamped, during.body, [old], NOW) is Signature.VALID
        verify_webhook(after.headers, after.body, new, now=post.clock.at)
        with pytest.raises(WebhookRejected, match="forged"):
            verify_webhook(after.headers, after.body, old, now=post.clock.at)


@run
async def test_what_a_killed_courier_had_taken_is_delivered_by_another_under_the_same_names() -> None:
    async with receiving(FINE) as receiver, post_office() as post:
        await post.desk.add(receiver.url)
        await post.tell("a")
        post.store.apply([TakeDeliveries(seconds=30, limit=9, each=9)])  # and nothing more is heard of it
        assert await post.desk.deliver() == 0
        post.clock.at += 30
        assert await post.desk.deliver() == 1
        (done,) = await post.desk.deliveries()
        assert (done.state, done.claim) == ("delivered", 2)


@run
async def test_what_is_written_late_with_an_earlier_time_is_not_passed_over() -> None:
    """A commit may become visible after a later one: nothing is found by a position in a list."""
    async with receiving(FINE) as receiver, post_office() as post:
        await post.desk.add(receiver.url)
        await post.tell("later")
        assert await post.desk.deliver() == 1
        post.clock.at -= 100
        await post.tell("earlier")
        post.clock.at += 100
        assert await post.desk.deliver() == 1
        assert keys(receiver.got) == ["later", "earlier"]


@run
async def test_only_what_an_endpoint_wants_reaches_it() -> None:
    async with receiving(FINE) as receiver, post_office() as post:
        await post.desk.add(f"{receiver.url}/mine", account="acct", events=["x", "webhook.test"])
        other = await post.desk.add(f"{receiver.url}/other", account="other")
        assert [await post.tell("1"), await post.tell("2", "y"), await post.tell("3", "y", "other")] == [
            1,
            0,
            1,
        ]
        assert await post.desk.test(other.id) == 1
        await post.desk.deliver()
        got = sorted((one.path, one.headers["x-babysea-event"]) for one in receiver.got)
        assert got == [("/mine", "x"), ("/other", "webhook.test"), ("/other", "y")]
        await post.desk.remove(other.id)
        assert await post.desk.list(account="other") == []
        with pytest.raises(UnknownEndpoint):
            await post.desk.get(other.id)


@run
async def test_webhooks_go_where_the_guard_lets_them() -> None:
    async with post_office(egress=EgressPolicy(ports=frozenset({443}))) as post:
        for url in (
            "http://shop.example/", "https://shop.example:8443/", "https://a:b@shop.example/", "nonsense",
        ):  # fmt: skip
            with pytest.raises(RequestRejected, match="url:"):
                await post.desk.add(url)
        for url in ("https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://localhost/"):
            await post.desk.add(url)  # a name is looked up when it is used, each time
        await post.tell("a")
        assert await post.desk.deliver() == 3
        errors = {delivery.error for delivery in await post.desk.deliveries(state="waiting")}
        assert len(errors) >= 2
        assert all("not fetched from" in error for error in errors), errors


@run
async def test_wrong_arguments_and_missing_keys_are_named() -> None:
    async with post_office() as post:
        with pytest.raises(RequestRejected, match=r"generation\.done"):
            await post.desk.add("https://shop.example/", events=["generation.done"])
        with pytest.raises(RequestRejected, match="list"):
            await post.desk.add("https://shop.example/", events="x")
        with pytest.raises(MissingCredentials, match="OTHER"):
            await post.desk.add("https://shop.example/", secret="env:OTHER")
        assert await post.desk.list() == []
        mine = await post.desk.add("https://shop.example/", secret="env:MINE")
        assert (await post.desk.secret(mine.id)).reveal() == KEYS.get("webhooks", "env:MINE").reveal()
        rotated = await post.desk.rotate(mine.id)
        assert [r.name for r in rotated.secrets] == ["derived:EXECUTION_ARROW_WEBHOOK_KEY:2", "env:MINE"]
        with pytest.raises(RequestRejected, match="state"):
            await post.desk.deliveries(state="lost")  # type: ignore[arg-type]


@run
async def test_no_secret_is_in_a_row_or_a_repr() -> None:
    async with post_office() as post:
        endpoint = await post.desk.add("https://shop.example/")
        secret = await post.desk.secret(endpoint.id)
        seen = repr((post.store.endpoints(), endpoint, secret, await post.desk.rotate(endpoint.id)))
        assert secret.reveal() not in seen
        assert "k" * 40 not in seen


@run
async def test_when_our_key_is_missing_the_endpoint_is_not_to_blame() -> None:
    async with receiving(DOWN, FINE) as receiver, post_office(clock=Clock()) as post:
        endpoint = await post.desk.add(receiver.url, secret="env:MINE")
        await post.tell("a")
        await post.desk.deliver()
        (waiting,) = await post.desk.deliveries()
        post.clock.at = waiting.next_at
        environ, mine = KEYS._environ, dict(KEYS._environ)
        del environ["MINE"]  # type: ignore[attr-defined]
        await post.desk.deliver()
        (waiting,) = await post.desk.deliveries()
        assert "MINE" in waiting.error
        assert (await post.desk.get(endpoint.id)).failures == 1  # as before: nothing was learned of it
        environ.update(mine)  # type: ignore[attr-defined]
        assert await come_back(post) == 1


@run
async def test_an_endpoint_that_is_enabled_again_is_believed_at_once() -> None:
    async with receiving(FINE) as receiver, post_office() as post:
        endpoint = await post.desk.add(receiver.url)
        await post.desk.add(receiver.url, account="other")
        await post.desk.disable(endpoint.id)
        await post.tell("missed")
        await post.tell("seen", account="other")
        assert await post.desk.deliver() == 1  # the courier knows now that it is disabled
        await post.desk.enable(endpoint.id)
        assert await post.desk.replay(endpoint.id) == 2
        await post.desk.deliver()
        assert await post.desk.deliveries(state="dead") == []
        assert sorted(keys(receiver.got)) == ["missed", "seen", "seen"]


@run
async def test_no_secret_comes_back_and_a_new_one_is_of_the_key_of_the_one_before() -> None:
    async with post_office() as post:
        endpoint = await post.desk.add("https://shop.example/")
        first = (await post.desk.secret(endpoint.id)).reveal()
        for _ in range(2):  # by then the first one is forgotten
            await post.desk.rotate(endpoint.id, secret="env:MINE", keep=1)
            post.clock.at += 10
        await post.desk.rotate(endpoint.id)
        assert (await post.desk.secret(endpoint.id)).reveal() != first
        await post.desk.rotate(endpoint.id, secret="derived:MINE:1")
        assert (await post.desk.rotate(endpoint.id)).secrets[0].name.startswith("derived:MINE:")


@run
async def test_what_nobody_thought_of_is_a_try_that_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    async with post_office(pauses=(1.0,)) as post:
        await post.desk.add("https://shop.example/")

        async def broken(delivery: Any, now: float) -> bytes:
            raise KeyError("a row of another version")

        post.courier._body = broken  # type: ignore[method-assign]
        await post.tell("a")
        assert await come_back(post, 5) == 2
        (dead,) = await post.desk.deliveries(state="dead")
        assert dead.error == "KeyError: see the log"
        assert caplog.text.count("delivery_failed") == 2


@run
async def test_what_could_not_be_sent_is_refused_when_it_is_said() -> None:
    async with post_office() as post:
        for given in ("whsec_hunter2", "derived:MINE:x", "derived:1", ""):
            with pytest.raises(RequestRejected, match="named, not given") as no:
                await post.desk.add("https://shop.example/", secret=given)
            assert "hunter2" not in str(no.value)
        endpoint = await post.desk.add("https://shop.example/")
        with pytest.raises(RequestRejected, match="named, not given"):
            await post.desk.rotate(endpoint.id, secret="hunter2")
        for type, key in (("a\r\nb: c", "k"), ("x", "kl\u00fc"), ("x", None), ("", "k")):
            with pytest.raises(RequestRejected, match="printable ASCII"):
                await post.desk.publish(type, {}, account="acct", key=key)  # type: ignore[arg-type]
        with pytest.raises(RequestRejected, match="said by generations"):
            await post.desk.publish("generation.completed", {}, account="acct", key="k")
        with pytest.raises(RequestRejected, match="data:"):
            await post.desk.publish("x", {"at": float("nan")}, account="acct", key="k")
        assert await post.desk.deliveries() == []
