"""What a caller sees of a generation: frozen values, amounts as `Decimal` credits with six places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from execution_arrow.codes import CODES
from execution_arrow.facts import Fault
from execution_arrow.machine.state import Attempt, Outcome, Run, State, Status, Stop
from execution_arrow.machine.verdicts import caller_code
from execution_arrow.values import quick


@lru_cache(maxsize=4096)  # an application has few prices, and shows each of them often
def credits(micros: int) -> Decimal:
    """Micro-credits as credits with six places, exactly, whatever precision the application works with."""
    whole, part = divmod(micros, 1_000_000)
    return Decimal(f"{whole}.{part:06d}")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One result that is ours: its content address, what it really is, and where it lies on this machine."""

    index: int
    key: str
    sha256: str
    size: int
    media_type: str
    width: int | None
    height: int | None
    seconds: float | None
    path: Path | None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One submission to one provider. `cost` is what the provider bills us, never what the customer pays.

    `hedge`: asked beside another one that was slow. `kept`: results that came too late and were copied all
    the same (`Policy.keep_discarded`).
    """

    id: str
    provider: str
    outcome: Outcome
    state: State
    stop: Stop | None
    job: str | None
    started_at: float
    ended_at: float | None
    cost: Decimal | None
    cost_source: str
    possible_waste: bool
    code: str
    message: str
    moderation: bool
    hedge: bool
    kept: tuple[File, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderError:
    """Why one provider did not do it, in BabySea's terms; the provider's own words stand apart.

    They are shortened, and hold no key and no signed link.
    """

    provider: str
    code: str
    type: str
    message: str
    retryable: bool
    provider_code: str
    provider_message: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A generation as its customer and its operator see it. Times are unix seconds.

    `hold` is what was reserved, `charged` what the account paid (0 until it is settled). `stuck` names the
    ledger's refusal when a settlement needs a human. `watching` says that attempts of a closed generation
    are still followed, so that their cost is known. `erased`: the request has been forgotten (`delete`).
    """

    id: str
    account: str
    model: str
    kind: str
    status: Status
    request: Mapping[str, Any]
    region: str
    chain: tuple[str, ...]
    chain_source: str
    chain_reason: str
    provider_used: str | None
    attempts: tuple[AttemptRecord, ...]
    provider_errors: tuple[ProviderError, ...]
    files: tuple[File, ...]
    hold: Decimal
    charged: Decimal
    cost: Decimal
    waste: Decimal
    possible_waste: Decimal
    error_code: str
    error: str
    stuck: str
    watching: bool
    erased: bool
    idempotency_key: str | None
    created_at: float
    started_at: float | None
    decided_at: float | None
    closed_at: float | None
    version: int

    @property
    def done(self) -> bool:
        """Whether the public status is final."""
        return self.status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELED)


def view(run: Run, version: int, key: str | None, find: Callable[[str], Path | None]) -> Generation:
    """The public record of a run. `find` says where a stored file lies."""
    spec = run.spec
    winner = run.attempt(run.winner) if run.winner is not None else None
    settlement = run.settlement
    charged = settlement.amount if settlement is not None and settlement.done else 0
    billed = sum(a.cost or 0 for a in run.attempts if a.cost_source != "unknown")
    used = (winner.cost or 0) if winner is not None and winner.cost_source != "unknown" else 0
    return Generation(
        id=spec.id,
        account=spec.account,
        model=spec.model,
        kind=spec.kind,
        status=run.status,
        request=_own(spec.request),
        region=spec.region,
        chain=spec.chain,
        chain_source=spec.chain_source,
        chain_reason=spec.chain_reason,
        provider_used=winner.provider if winner is not None else None,
        attempts=tuple(_attempt(run, attempt, find) for attempt in run.attempts),
        provider_errors=tuple(_provider_error(a) for a in run.attempts if a.outcome(run.winner) in _ERRORS),
        files=_files(winner, find) if winner is not None and run.status is Status.SUCCEEDED else (),
        hold=credits(spec.hold),
        charged=credits(charged),
        cost=credits(billed),
        waste=credits(billed - used),
        possible_waste=credits(sum(possible_waste(run, attempt) for attempt in run.attempts)),
        error_code=run.error_code,
        error=run.error,
        stuck=settlement.stuck if settlement is not None else "",
        watching=run.phase.value == "closed" and not run.done,
        erased=spec.erased,
        idempotency_key=key,
        created_at=spec.created_at,
        started_at=run.started_at,
        decided_at=run.decided_at,
        closed_at=run.closed_at,
        version=version,
    )


def _own(value: Any) -> Any:
    """A copy of what is JSON: the frozen request is not the reader's to change."""
    if isinstance(value, Mapping):
        return {name: _own(item) for name, item in value.items()}
    return [_own(item) for item in value] if isinstance(value, list) else value


def _attempt(run: Run, attempt: Attempt, find: Callable[[str], Path | None]) -> AttemptRecord:
    discarded = attempt.state is State.STORED and attempt.id != run.winner
    return AttemptRecord(
        id=attempt.id,
        provider=attempt.provider,
        outcome=attempt.outcome(run.winner),
        state=attempt.state,
        stop=attempt.stop,
        job=attempt.job,
        started_at=attempt.sent_at,
        ended_at=attempt.ended_at,
        cost=credits(attempt.cost) if attempt.cost is not None else None,
        cost_source=attempt.cost_source,
        possible_waste=possible_waste(run, attempt) > 0,
        code=attempt.code,
        message=attempt.message,
        moderation=attempt.moderation,
        hedge=attempt.hedge,
        kept=_files(attempt, find) if discarded else (),
    )


_ERRORS = (Outcome.FAILED, Outcome.UNKNOWN)
_FAULTS = {Fault.ACCOUNT: "BSE3005", Fault.HERE: "BSE3006", Fault.PROVIDER: "BSE3001"}


def _provider_error(attempt: Attempt) -> ProviderError:
    row = CODES[_code_of(attempt)]
    return ProviderError(
        provider=attempt.provider, code=row.code, type=row.type, message=row.meaning, retryable=row.retryable,
        provider_code=attempt.code, provider_message=attempt.message,
    )  # fmt: skip


def _code_of(attempt: Attempt) -> str:
    if attempt.state in (State.UNKNOWN, State.WRITTEN_OFF):
        return "BSE3007"
    if attempt.state is State.EXPIRED or attempt.stop is Stop.OVERDUE:
        return "BSE3002"
    if attempt.fault is Fault.CALLER:
        return caller_code(attempt)
    if attempt.code == "missing_credentials":
        return "BSE3004"
    return _FAULTS.get(attempt.fault, "BSE3001") if attempt.fault is not None else "BSE3001"


def possible_waste(run: Run, attempt: Attempt) -> int:
    """Micro-credits that may have been billed: an unresolved submit, an end of unknown cost."""
    if attempt.state is State.UNKNOWN:
        return run.route(attempt).cost or 0
    if attempt.final and attempt.cost_source == "unknown":
        return attempt.cost or 0
    return 0


def _files(attempt: Attempt, find: Callable[[str], Path | None]) -> tuple[File, ...]:
    return tuple(
        File(
            index=file.index,
            key=file.key,
            sha256=file.sha256,
            size=file.size,
            media_type=file.media_type,
            width=file.width,
            height=file.height,
            seconds=file.seconds,
            path=find(file.key),
        )
        for file in attempt.files
    )
