"""The published documents of the ledger: the one source of their JSON Schemas.

`ledger-entry.v1` is an entry with everything that its hash is made of, for archives and auditors.
`credit-event.v1` is what other systems are told about it: what moved and what stands there now.
`credit-alert.v1` is what somebody should hear of: a low balance, a charge that came late or was cut short.
Amounts are texts with six decimals, because a JSON number is a float to most readers. Times are RFC 3339.

This is the only module of the package that loads pydantic; it is imported when the first document is made.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from .checks import MAX_NAME
from .credits import LIMIT, Credits
from .entries import Entry
from .errors import LedgerError
from .outbox import AlertView
from .wire import entry_fields, entry_of

T = TypeVar("T", bound=BaseModel)
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Kind = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
Amount = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,9})\.[0-9]{6}$")]
Change = Annotated[str, Field(pattern=r"^-?(0|[1-9][0-9]{0,9})\.[0-9]{6}$")]
Version = Annotated[int, Field(ge=1, le=LIMIT)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class BadDocument(LedgerError, ValueError):
    """A document breaks its schema; `places` names every spot, as `$.path: what is wrong`."""

    def __init__(self, document: str, places: tuple[str, ...]) -> None:
        self.document = document
        self.places = places
        super().__init__(f"not a {document}: {'; '.join(places)}")

    def __reduce__(self) -> tuple[object, ...]:
        return BadDocument, (self.document, self.places)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class BalanceV1(_Document):
    """What stood there afterwards."""

    available: Amount
    held: Amount
    debt: Amount


class ChangeV1(_Document):
    """What moved; negative where it went out."""

    available: Change
    held: Change
    debt: Change


class LedgerEntryV1(_Document):
    """One row of an account's history, with all that its hash is made of."""

    schema_version: Literal["ledger-entry.v1"] = "ledger-entry.v1"
    account: Name
    version: Version
    """Numbered from 1 without gaps, per account."""
    kind: Kind
    """What happened: `grant`, `reserve`, `charge` …; later versions may bring further kinds."""
    key: Name | None
    """The command's key; null for what time did."""
    hold: Name | None
    """The key of the hold that it is about."""
    at: AwareDatetime
    amount: Amount
    change: ChangeV1
    balance: BalanceV1
    body: Annotated[str, Field(min_length=2)]
    """Canonical JSON, as it was hashed: the legs, and what belongs to the kind; amounts in micro-credits."""
    fingerprint: Fingerprint | None
    """Of the command's content; a repeat of the key with another one is a conflict."""
    link: Annotated[str, Field(min_length=1)] | None
    """`id:place:size` for a member of a linked batch."""
    note_hash: Hash | None
    """SHA-256 over salt and text of the note that was given along."""
    prev_hash: Hash
    hash: Hash

    @classmethod
    def of(cls, entry: Entry) -> LedgerEntryV1:
        """The document of an entry."""
        return cls.model_validate(entry_fields(entry) | {"at": entry.time})

    def entry(self) -> Entry:
        """The entry of this document, the same to the bit."""
        return entry_of(self.model_dump() | {"at": self.at.isoformat()})


class CreditEventV1(_Document):
    """What other systems are told about an entry: what moved on which account, and what it has now."""

    schema_version: Literal["credit-event.v1"] = "credit-event.v1"
    id: Hash
    """The hash of the entry: the same event always has the same id."""
    type: Annotated[str, Field(pattern=r"^credit\.[a-z_]{1,40}$")]
    """`credit.` and the entry's kind; readers pass over types that they do not know."""
    account: Name
    version: Version
    """Grows by one with each event of the account: a gap means that one is missing."""
    at: AwareDatetime
    amount: Amount
    change: ChangeV1
    balance: BalanceV1
    key: Name | None = None
    hold: Name | None = None

    @classmethod
    def of(cls, entry: Entry) -> CreditEventV1:
        """The event of an entry."""
        told = entry_fields(entry)
        same = {name: told[name] for name in ("account", "version", "amount", "change", "balance")}
        more = {"key": entry.key, "hold": entry.hold, "at": entry.time}
        return cls.model_validate({"id": told["hash"], "type": f"credit.{entry.kind}", **same, **more})


class CreditAlertV1(_Document):
    """Something that somebody should hear of. Delivered at least once: (account, version, place) names it."""

    schema_version: Literal["credit-alert.v1"] = "credit-alert.v1"
    account: Name
    version: Version
    """Of the entry that caused it."""
    place: Annotated[int, Field(ge=0, le=LIMIT)]
    """Among the alerts of that entry."""
    type: Annotated[str, Field(pattern=r"^credit\.[a-z_]{1,40}$")]
    """`credit.low_balance`, `credit.late_charge`, `credit.late_refused`, `credit.short_charge`; readers pass
    over types that they do not know."""
    at: AwareDatetime
    name: Name | None = None
    """Of the threshold that was crossed."""
    below: Amount | None = None
    available: Amount | None = None
    hold: Name | None = None
    """The hold whose charge came late, or asked for more than it was given."""
    amount: Amount | None = None
    owed: Amount | None = None
    asked: Amount | None = None
    charged: Amount | None = None
    reason: Kind | None = None

    @classmethod
    def of(cls, alert: AlertView) -> CreditAlertV1:
        """The document of an alert."""
        account, version, place = alert.mark
        told = {
            name: str(said) if isinstance(said, Credits) else said for name, said in alert.details.items()
        }
        head = {"account": account, "version": version, "place": place, "type": f"credit.{alert.kind}"}
        return cls.model_validate({**head, "at": alert.at, **told})


PUBLISHED: dict[str, type[BaseModel]] = {
    "ledger-entry.v1": LedgerEntryV1,
    "credit-event.v1": CreditEventV1,
    "credit-alert.v1": CreditAlertV1,
}


def parse_entry(document: str | bytes) -> Entry:
    """An entry from its JSON text; raises `BadDocument` naming every place that is wrong."""
    return _parsed(LedgerEntryV1, "ledger-entry.v1", document).entry()


def parse_event(document: str | bytes) -> CreditEventV1:
    """An event from its JSON text; raises `BadDocument` naming every place that is wrong."""
    return _parsed(CreditEventV1, "credit-event.v1", document)


def parse_alert(document: str | bytes) -> CreditAlertV1:
    """An alert from its JSON text; raises `BadDocument` naming every place that is wrong."""
    return _parsed(CreditAlertV1, "credit-alert.v1", document)


def _parsed(model: type[T], name: str, document: str | bytes) -> T:
    try:
        return model.model_validate_json(document)
    except ValidationError as error:
        raise BadDocument(
            name,
            tuple(
                f"$.{'.'.join(str(step) for step in issue['loc'])}: {issue['msg']}"
                for issue in error.errors(include_url=False, include_input=False)
            ),
        ) from None
