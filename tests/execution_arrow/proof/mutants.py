"""Mistakes that somebody could make in the orchestrator, each with who must notice.

A mutant replaces one piece of text, which stands exactly once in its file under `src/execution_arrow`, by
another. `SIMULATOR` searches worlds until a promise is broken, one of those in `promise` (numbers of
`docs/simulation.md`); it begins with worlds `about` a scene or a fault that shows the mistake soon. A path is
a test that must fail. Whoever changes such a line changes the mutant with it.
"""

from typing import NamedTuple

SIMULATOR = "simulator"


class Mutant(NamedTuple):
    """A mistake: what it is, where, the text and what replaces it, who must notice, and by what."""

    name: str
    file: str
    old: str
    new: str
    killer: str = SIMULATOR
    promise: str = ""
    about: str = ""


MUTANTS = (
    # The paid call.
    Mutant(
        "the effects to perform are remembered in memory: a submit is not due after a restart",
        "machine/agenda.py",
        "        yield attempt.sent_at, Recover(attempt.id)",
        "        yield from ()",
        promise="16",
    ),
    Mutant(
        "a submit is sent again by whoever takes over",
        "machine/agenda.py",
        "    if attempt.epoch == epoch:\n",
        "    if attempt.epoch <= epoch:\n",
        promise="1",
        about="zombies",
    ),
    Mutant(
        "a second POST after a lost answer",
        "driver/perform.py",
        "            reply = await self.send(call, spool)\n        except NotSentError",
        "            try:\n                reply = await self.send(call, spool)\n"
        "            except MaybeSentError:\n                reply = await self.send(call, spool)\n"
        "        except NotSentError",
        promise="1",
        about="lost_reply",
    ),
    Mutant(
        "a second POST on 5xx",
        "driver/perform.py",
        "        return self.read_submit(run, attempt, reply)\n",
        "        if reply.status >= 500:\n            reply = await self.send(call, spool)\n"
        "        return self.read_submit(run, attempt, reply)\n",
        promise="1",
        about="error_500",
    ),
    Mutant(
        "effects start before the change is written",
        "driver/driver.py",
        "            result = await self.committer.commit(session, change)\n",
        "            held, session.run = session.run, change.run\n"
        "            session.agenda = change.agenda\n"
        "            for effect in session.startable(self._clock.now()):\n"
        "                if isinstance(effect, Submit):\n"
        "                    session.inflight.add(effect)\n"
        "                    session.submitted.add(effect.attempt)\n"
        "                    self._spawn(session, effect)\n"
        "            await asyncio.sleep(0)\n"
        "            session.run = held\n"
        "            result = await self.committer.commit(session, change)\n",
        promise="3",
    ),
    Mutant(
        "a submit that was begun is begun again",
        "driver/session.py",
        "return effect in self.inflight or (isinstance(effect, Submit) and effect.attempt in self.submitted)",
        "return effect in self.inflight and not isinstance(effect, Submit)",
        promise="1",
    ),
    Mutant(
        "a lost answer counts as not sent",
        "driver/perform.py",
        "        except MaybeSentError as error:\n            return f.Ambiguous(message=_say(error))",
        "        except MaybeSentError as error:\n            return f.NotSent(message=_say(error))",
        promise="9",
        about="lost_reply",
    ),
    Mutant(
        "an undeclared 5xx counts as a refusal",
        "providers/_wire.py",
        "    if rule is None:\n        return unreadable(reply, message)",
        "    if rule is None:\n        return Refused(fault=Fault.PROVIDER, code='http', message=message)",
        promise="9",
        about="error_500_taken",
    ),
    Mutant(
        "a conclusive list is believed while the call may still arrive",
        "machine/attempts.py",
        "ARRIVAL_WINDOW = 120.0",
        "ARRIVAL_WINDOW = 0.0",
        promise="9",
        about="late_request",
    ),
    # Facts and epochs.
    Mutant(
        "facts are fenced: what a fenced worker heard is dropped",
        "driver/driver.py",
        "        session.queue[:0] = change.applied\n        replaced,",
        "        replaced,",
        "driver/test_driver.py::test_a_zombies_answer_counts_and_its_decisions_do_not",
    ),
    Mutant(
        "an answer that arrives after the loss of a generation is dropped",
        "driver/driver.py",
        "            await self.committer.hand_over(session)",
        "            session.queue.clear()",
        "driver/test_review_ownership.py",
    ),
    Mutant(
        "what was heard and not folded is dropped with its session",
        "driver/driver.py",
        "  # else at the end of the turn\n            self.committer.keep(session)\n",
        "\n            session.queue.clear()\n",
        "driver/test_facts_kept.py",
    ),
    Mutant(
        "a fact that the store refuses for now is dropped",
        "driver/committing.py",
        "            self.unsaid += [*waiting[1:], *waiting[:1]]",
        "            waiting.clear()",
        "driver/test_facts_kept.py::"
        "test_a_job_id_that_arrives_after_the_lease_while_the_store_is_away_is_written_later",
    ),
    Mutant(
        "facts are forgotten when their commit fails",
        "driver/driver.py",
        "            session.queue[:0] = change.applied\n",
        "",
        promise="16",
    ),
    Mutant(
        "only what changed something is heard anew",
        "driver/session.py",
        "    change.applied.append(heard)\n    result = _step(change, heard, now)\n",
        "    result = _step(change, heard, now)\n"
        "    if result.durable:\n        change.applied.append(heard)\n",
        "machine/test_callbacks.py::"
        "test_a_change_that_was_not_written_is_heard_anew_with_all_that_it_ignored",
    ),
    Mutant(
        "waiting facts are deleted when they are read, not when they are folded",
        "stores/memory.py",
        "        inbox = tuple(record.inbox.values())\n",
        "        inbox = tuple(record.inbox.values())\n        record.inbox.clear()\n",
        "stores/test_contract.py::TestMemory::test_facts_need_no_lease_and_are_kept_once",
    ),
    Mutant(
        "the epoch is not checked",
        "stores/memory.py",
        "if (row.owner, row.epoch, row.version) != (op.owner, op.epoch, op.version):",
        "if (row.owner, row.version) != (op.owner, op.version):",
        "stores/test_contract.py::"
        "TestMemory::test_a_commit_under_an_old_version_epoch_or_owner_writes_nothing",
    ),
    Mutant(
        "neither owner nor version is checked",
        "stores/memory.py",
        "if (row.owner, row.epoch, row.version) != (op.owner, op.epoch, op.version):",
        "if row.epoch > op.epoch + 99:",
        promise="1 4 5 10 13 15",
    ),
    Mutant(
        "the lease is ignored",
        "stores/memory.py",
        "            return self._leases.get(row.owner, 0.0) <= now",
        "            return True",
        "stores/test_contract.py::TestMemory::test_a_claim_takes_what_is_due_and_free",
    ),
    Mutant(
        "a dead worker's rows are its own for ever",
        "stores/memory.py",
        "            return self._leases.get(row.owner, 0.0) <= now",
        "            return False",
        "stores/test_contract.py::TestMemory::test_a_dead_owner_loses_its_rows_under_a_new_epoch",
    ),
    Mutant(
        "a job may belong to two attempts",
        "stores/memory.py",
        "if (holder := self._jobs.get((provider, credentials, job), attempt)) != attempt:",
        "if (holder := self._jobs.get((provider, credentials, job), attempt)) == '':",
        "stores/test_contract.py::TestMemory::test_a_job_belongs_to_one_attempt",
    ),
    Mutant(
        "the sync of a change that matters is dropped",
        "driver/session.py",
        "        sync=_needs_sync(before, after),",
        "        sync=False,",
        promise="3",
    ),
    Mutant(
        "rows in our name that we do not know stay ours",
        "driver/lease.py",
        "                await self._store.apply(Disown(owner=self.owner, keep=(*keep, *self.making)))",
        "                pass",
        promise="16",
    ),
    # Ends.
    Mutant(
        "a cancel's acknowledgement is a verdict",
        "machine/table.py",
        'Row("29", (_CLO, _UNK), f.CancelAcknowledged, "same", do.cancel_answered, when="not a verdict"),',
        'Row("29", (_CLO, _UNK), f.CancelAcknowledged, "canceled", '
        'lambda run, a, fact, now: do.canceled(run, a, f.Canceled(), now), when="a verdict"),',
        promise="9",
        about="cancel_ignored",
    ),
    Mutant(
        "an overdue attempt has failed",
        "machine/attempts.py",
        "    run = put(run, attempt, state=State.CLOSING, stop=Stop.OVERDUE, closing_at=now)\n",
        "    return put(run, attempt, state=State.FAILED, ended_at=now, cost=0, cost_source='quoted')\n",
        promise="9",
        about="never_ends",
    ),
    Mutant(
        "an unknown submit counts as failed",
        "machine/attempts.py",
        "    run = put(run, attempt, lapsed=True, stop=Stop.OVERDUE)\n",
        "    run = put(run, attempt, state=State.FAILED, ended_at=now, cost=0, cost_source='quoted')\n",
        promise="9",
        about="lost_reply",
    ),
    Mutant(
        "one 404 is believed",
        "machine/attempts.py",
        "    return sum(now - at < MISSING_WINDOW for at in attempt.missing) >= 2",
        "    return True",
        "machine/test_table.py::test_25_26_three_missing_answers_are_believed",
    ),
    Mutant(
        "an unresolved attempt is watched for ever",
        "machine/attempts.py",
        '    return put(run, attempt, state=State.WRITTEN_OFF, ended_at=now, cost=cost, cost_source="unknown")',  # noqa: E501
        "    return run",
        promise="16",
        about="lost_request",
    ),
    Mutant(
        "what was written off costs nothing",
        "machine/attempts.py",
        '    return put(run, attempt, state=State.WRITTEN_OFF, ended_at=now, cost=cost, cost_source="unknown")',  # noqa: E501
        '    return put(run, attempt, state=State.WRITTEN_OFF, ended_at=now, cost=0, cost_source="quoted")',
        promise="9",
        about="lost_reply",
    ),
    # Winning and money.
    Mutant(
        "the winner is set without compare-and-swap",
        "machine/guards.py",
        "return bool(fact.outputs) and run.winner is None and run.open and not run.cancel",
        "return bool(fact.outputs) and run.open and not run.cancel",
        promise="4",
        about="slow_reply",
    ),
    Mutant(
        "a success after the end wins",
        "machine/guards.py",
        "return bool(fact.outputs) and run.winner is None and run.open and not run.cancel",
        "return bool(fact.outputs) and run.winner is None and not run.cancel",
        promise="5",
        about="deaf",
    ),
    Mutant(
        "a discarded success costs nothing",
        "machine/results.py",
        'changes: dict[str, Any] = {"outputs": fact.outputs, **bill(run, attempt, fact.cost)}',
        'changes: dict[str, Any] = {"outputs": fact.outputs, "cost": 0, "cost_source": "quoted"}',
        promise="9",
        about="deaf",
    ),
    Mutant(
        "the hold is settled by its own size, not by the winner's quote",
        "machine/verdicts.py",
        "        amount = min(run.spec.hold, max(1, part)) if price else 0\n",
        "        amount = run.spec.hold\n",
        promise="7",
    ),
    Mutant(
        "a part of the results costs the whole price",
        "machine/verdicts.py",
        "        part = price * share // run.spec.asked if share else price\n",
        "        part = price\n",
        promise="7",
        about="some_files",
    ),
    Mutant(
        "a failed generation pays for its last attempt",
        "machine/verdicts.py",
        "return decide(stop_all(run, Stop.OVERDUE, now), Status.FAILED, now, code, message, charged)",
        "return decide(stop_all(run, Stop.OVERDUE, now), Status.FAILED, now, code, message, "
        "charged or (run.attempts[-1] if run.attempts else None))",
        promise="7",
    ),
    Mutant(
        "what is owed is computed again when the ledger is asked again",
        "machine/verdicts.py",
        "    return replace(run, retry_at=now + backoff(run.errors), errors=run.errors + 1)",
        "    return replace(run, retry_at=now + backoff(run.errors), errors=run.errors + 1, settlement="
        "run.settlement and replace(run.settlement, amount=run.settlement.amount and run.spec.hold))",
        promise="7",
        about="slow_ledger",
    ),
    Mutant(
        "the hold is released when the ledger does not answer the charge",
        "driver/perform.py",
        '            return [f.EffectFailed(effect="settle", message=str(error))]',
        "            with contextlib.suppress(StoreUnavailable):\n"
        '                await self.ledger.settle(run.spec.account, run.spec.id, "release", 0)\n'
        '            return [f.EffectFailed(effect="settle", message=str(error))]',
        promise="6",
        about="slow_ledger",
    ),
    Mutant(
        "a settlement without an answer counts as done",
        "driver/perform.py",
        '            return [f.EffectFailed(effect="settle", message=str(error))]',
        "            return [f.Settled()]",
        promise="6",
        about="slow_ledger",
    ),
    Mutant(
        "a hold without an answer counts as open",
        "driver/perform.py",
        '            return [f.EffectFailed(effect="hold", message=str(error))]',
        "            return [f.HoldOpened()]",
        promise="3",
        about="slow_ledger",
    ),
    Mutant(
        "a hold that arrives after its release opens",
        "wiring/fortress.py",
        "            with contextlib.suppress(Refused):\n"
        "                await self._ledger.reserve(account, _amount(1), key=key, timeout=60)\n",
        "",
        "arrow/test_review_ledger.py::test_a_hold_that_arrives_after_its_release_does_not_open",
    ),
    Mutant(
        "a stored result is announced with one missing",
        "machine/results.py",
        "    if len(attempt.files) + len(attempt.lost) < len(attempt.outputs):\n",
        "    if len(attempt.files) + len(attempt.lost) < len(attempt.outputs) and not attempt.files:\n",
        "machine/test_table.py::test_34_a_partial_success_pays_its_share_rounded_down",
    ),
    # Webhooks that we send.
    Mutant(
        "a delivery is reported before it is sent",
        "delivery/courier.py",
        "            answer = await self._try(delivery, endpoint) if endpoint is not None else "
        'Answer(0, "disabled")\n'
        "            await self._report(delivery, answer, dead=endpoint is None)\n",
        "            await self._report(delivery, Answer(200), dead=endpoint is None)\n"
        "            if endpoint is not None:\n"
        "                await self._try(delivery, endpoint)\n",
        promise="25",
        about="couriers_that_die",
    ),
    Mutant(
        "a lost answer counts as delivered",
        "delivery/courier.py",
        'return Answer(0, f"no answer within {self.policy.timeout:g} s")',
        "return Answer(200)",
        promise="25",
        about="told_hangs",
    ),
    Mutant(
        "a redirect counts as delivered",
        "delivery/policy.py",
        "return 200 <= self.status < 300",
        "return 200 <= self.status < 400",
        promise="25",
        about="told_redirect",
    ),
    Mutant(
        "what a courier has taken is not his",
        "stores/memory_outgoing.py",
        "held = [replace(d, claim=d.claim + 1, next_at=now + op.seconds) for d in taken]",
        "held = [replace(d, claim=d.claim + 1) for d in taken]",
        promise="22",
        about="couriers_that_stop,told_slow",
    ),
    Mutant(
        "the report of an old taking counts",
        "stores/memory_outgoing.py",
        "if delivery is None or delivery.claim != op.claim:",
        "if delivery is None:",
        promise="22",
        about="couriers_that_stop",
    ),
    Mutant(
        "failures in a row are never over",
        "stores/memory_outgoing.py",
        "if op.failed else (0, None)",
        "if op.failed else (endpoint.failures, since)",
        promise="25",
        about="told_500",
    ),
    Mutant(
        "failures in a row are never counted",
        "stores/memory_outgoing.py",
        "count = (endpoint.failures + 1, since) if op.failed else (0, None)",
        "count = (0, None)",
        promise="25",
        about="told_500",
    ),
    Mutant(
        "an address that fails once is given up",
        "delivery/policy.py",
        'return "failing" if lasting and endpoint.failures >= policy.give_up_after else ""',
        'return "failing" if endpoint.failures else ""',
        promise="25",
        about="told_500",
    ),
    Mutant(
        "a dead letter is dropped",
        "stores/memory_outgoing.py",
        "        self._put(changed)\n        self._line_up(changed)\n        endpoint",
        '        if state == "dead":\n'
        "            del self._deliveries[op.endpoint, op.subject, op.no]\n"
        "        else:\n"
        "            self._put(changed)\n"
        "        self._line_up(changed)\n"
        "        endpoint",
        promise="21",
        about="given_up",
    ),
    Mutant(
        "what waits is forgotten when its address is changed",
        "stores/memory_outgoing.py",
        "        if op.endpoint.disabled:\n            for name",
        "        if version > 1 and not op.endpoint.disabled:\n"
        "            mine = [n for n in self._deliveries if n[0] == op.endpoint.id]\n"
        '            waiting = [n for n in mine if self._deliveries[n].state == "waiting"]\n'
        "            for name in waiting:\n"
        "                del self._deliveries[name]\n"
        "        if op.endpoint.disabled:\n"
        "            for name",
        promise="21",
        about="given_up",
    ),
    Mutant(
        "every try has a delivery id of its own",
        "delivery/policy.py",
        "parts = (delivery.endpoint, delivery.subject, delivery.no, delivery.replays, *more)",
        "parts = (delivery.endpoint, delivery.subject, delivery.no, delivery.replays, delivery.tries, *more)",
        promise="24",
        about="told_500",
    ),
    Mutant(
        "a receiver that asks for time is not given it",
        "delivery/policy.py",
        "asked = min(answer.retry_after or 0.0, policy.longest_wait)",
        "asked = 0.0",
        promise="25",
        about="told_busy",
    ),
    Mutant(
        "a later event overtakes an earlier one that failed",
        "stores/memory_outgoing.py",
        "first = heads.setdefault((delivery.endpoint, delivery.subject), delivery)",
        'first = heads.setdefault((delivery.endpoint, f"{delivery.subject}{delivery.no}"), delivery)',
        promise="23",
        about="told_500",
    ),
    Mutant(
        "an address that never answers has all the room",
        "stores/memory_outgoing.py",
        "room = min(op.each - op.busy.get(endpoint, 0), op.limit - len(taken))",
        "room = op.limit - len(taken)",
        promise="28",
        about="slow_receivers",
    ),
    Mutant(
        "only the newest secret signs",
        "delivery/courier.py",
        "for r in live_secrets(endpoint, now)]",
        "for r in live_secrets(endpoint, now)[:1]]",
        promise="26",
        about="given_up",
    ),
    Mutant(
        "an address is told of other people's generations",
        "stores/outgoing.py",
        "return endpoint.account in (None, account) and (not",
        "return (not",
        promise="27",
        about="given_up,couriers_that_die",
    ),
    Mutant(
        "what is signed has the time of a machine whose clock is wrong",
        "delivery/courier.py",
        "        self._clock.learn(taken.now)  # what is signed is stale elsewhere when our clock is wrong\n",
        "",
        "delivery/test_courier.py::test_a_machine_with_a_wrong_clock_signs_the_stores_time",
    ),
    Mutant(
        "only the first event of a generation is posted",
        "stores/memory_outgoing.py",
        "if not chosen or name in self._deliveries:",
        "if not chosen or event.no > 1:",
        promise="21",
        about="couriers_that_die",
    ),
)
