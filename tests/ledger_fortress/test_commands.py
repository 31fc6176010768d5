"""Commands: the packed form is canonical, and every field counts."""

import dataclasses
import json
from hashlib import blake2b
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_fortress import Receipt
from ledger_fortress.commands import (
    NEVER,
    Charge,
    Clawback,
    Close,
    Command,
    Dispute,
    DisputeLost,
    DisputeWon,
    Expire,
    Extend,
    Freeze,
    Grant,
    Linked,
    OpenAccount,
    Refund,
    Release,
    Reserve,
    SetAlert,
    SetMember,
    Transfer,
    Unfreeze,
)
from ledger_fortress.packing import salted

# Names are printable; nine characters are too few to end in the key of a settlement by chance.
texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9)
amounts = st.integers(1, NEVER)
base = {
    "account": texts,
    "key": texts,
    "note": st.none() | st.text(max_size=5),
}
COMMANDS: list[st.SearchStrategy[Any]] = [
    st.builds(OpenAccount, **base),
    st.builds(
        Grant,
        **base,
        amount=amounts,
        source=st.none() | texts,
        priority=st.integers(-9, 9),
        effective=st.integers(0, 10),
        expires=st.integers(11, NEVER),
        create=st.booleans(),
    ),
    st.builds(
        Reserve,
        **base,
        amount=amounts,
        timeout=st.integers(1, 10**12),
        on_timeout=st.sampled_from(["release", "report"]),
        member=st.none() | texts,
    ),
    st.builds(
        Charge,
        **base,
        hold=texts,
        amount=st.none() | st.integers(0, 10),
        on_missing=st.sampled_from([None, "refuse", "debt"]),
    ),
    st.builds(
        Grant,
        **base,
        amount=amounts,
        expires=st.integers(1, 99),
        rollover=amounts,
        rollover_life=st.integers(1, 10**12),
    ),
    st.builds(Expire, account=texts, grant=texts, note=base["note"]),
    st.builds(Transfer, **base, to=texts.map("to {}".format), amount=amounts),
    *(st.builds(kind, **base, amount=amounts, grant=st.none() | texts) for kind in (Clawback, Dispute)),
    *(st.builds(kind, **base, hold=texts) for kind in (DisputeWon, DisputeLost)),
    st.builds(
        SetMember, **base, member=texts, cap=st.none() | st.integers(0, 9), window=st.integers(0, 10**12)
    ),
    st.builds(SetAlert, **base, name=texts, below=amounts, rearm=st.none() | st.just(NEVER)),
    st.builds(SetAlert, **base, name=texts, below=st.none()),
    st.builds(Release, **base, hold=texts),
    st.builds(Refund, **base, hold=texts, amount=st.none() | amounts),
    st.builds(Extend, **base, hold=texts, timeout=st.integers(1, 10**12)),
    *(st.builds(kind, **base) for kind in (Freeze, Unfreeze, Close)),
]
# What is packed, in order; a new field goes in here and into a new PACKED_VERSION.
FIELDS = {
    "open_account": (),
    "grant": ("amount", "source", "priority", "effective", "expires", "create", "rollover", "rollover_life"),
    "reserve": ("amount", "timeout", "on_timeout", "member"),
    "charge": ("hold", "amount", "on_missing"),
    "release": ("hold",),
    "refund": ("hold", "amount"),
    "extend": ("hold", "timeout"),
    "expire": ("grant",),
    "transfer": ("to", "amount"),
    "clawback": ("amount", "grant"),
    "dispute": ("amount", "grant"),
    "dispute_won": ("hold",),
    "dispute_lost": ("hold",),
    "set_member": ("member", "cap", "window"),
    "set_alert": ("name", "below", "rearm"),
    "freeze": (),
    "unfreeze": (),
    "close": (),
}
UNPACKED = {"note", "salt", "seen"}


@given(st.one_of(COMMANDS))
def test_packed_form_is_canonical_json(command: Command) -> None:
    """Compact JSON of version, verb, account, key and the fields; hashed with BLAKE2b."""
    expected: list[Any] = [1, command.verb, command.account, command.key]
    expected += [getattr(command, name) for name in FIELDS[command.verb]]
    packed = json.dumps(expected, separators=(",", ":"), ensure_ascii=False)
    assert command.packed() == packed
    assert command.fingerprint() == blake2b(packed.encode(), digest_size=16).digest()


@settings(max_examples=30)
@given(st.one_of(COMMANDS), st.one_of(COMMANDS))
def test_fingerprints_differ_with_the_content(one: Command, two: Command) -> None:
    bare = [dataclasses.replace(command, note=None) for command in (one, two)]
    assert (one.fingerprint() == two.fingerprint()) == (bare[0] == bare[1])
    assert one.fingerprint("l:0:2") != one.fingerprint() != one.fingerprint("l:1:2")


def test_every_field_is_packed_or_left_out_on_purpose() -> None:
    for kind in get_args(Command):
        names = {field.name for field in dataclasses.fields(kind)} - {"account", "key"} - UNPACKED
        assert names == set(FIELDS[kind.verb])


def test_the_note_is_no_content_and_is_salted() -> None:
    one = Freeze(account="a", key="k", note="fraud?")
    two = salted(dataclasses.replace(one, note="fraud!"), b"0" * 16)
    assert one.fingerprint() == two.fingerprint()
    assert two.note_hash() != salted(one, b"0" * 16).note_hash() != salted(one, b"1" * 16).note_hash()
    assert salted(two, b"1" * 16) is two
    with pytest.raises(ValueError, match="salt"):
        one.note_hash()


GOOD: dict[type[Any], dict[str, Any]] = {
    Grant: {"account": "a", "key": "k", "amount": 1},
    Reserve: {"account": "a", "key": "k", "amount": 1, "timeout": 1},
    Charge: {"account": "a", "hold": "h"},
    Release: {"account": "a", "hold": "h"},
    Refund: {"account": "a", "hold": "h", "key": "k"},
    Extend: {"account": "a", "hold": "h", "key": "k", "timeout": 1},
    OpenAccount: {"account": "a", "key": "k"},
    Expire: {"account": "a", "grant": "g"},
    Transfer: {"account": "a", "key": "k", "to": "b", "amount": 1},
    Clawback: {"account": "a", "key": "k", "amount": 1},
    Dispute: {"account": "a", "key": "k", "amount": 1},
    DisputeWon: {"account": "a", "hold": "d"},
    SetMember: {"account": "a", "key": "k", "member": "ann"},
    SetAlert: {"account": "a", "key": "k", "name": "low", "below": 5},
}
NAMES = ("", "a\x00", "x" * 201, "\ud800")
WITH_AMOUNT = (Grant, Reserve, Charge, Refund)
WRONG: list[tuple[type[Any], dict[str, Any], type[Exception], str]] = [
    *(
        (kind, {"account": bad}, ValueError, "account")
        for kind in GOOD
        for bad in ("", "a\x00", "x" * 201, "\ud800")
    ),
    *((kind, {"account": bad}, TypeError, "account is a str") for kind in GOOD for bad in (None, 1, b"a")),
    *((kind, {"note": "x" * 2_001}, ValueError, "note") for kind in GOOD),
    *((kind, {"note": "x", "salt": b"short"}, ValueError, "salt") for kind in GOOD),
    *((kind, {"key": "x/settle"}, ValueError, "settle") for kind in (Grant, Reserve, Charge, Refund, Extend)),
    *(
        (kind, {"amount": 1.0}, TypeError, "int of micro-credits")
        for kind in (Grant, Reserve, Charge, Refund)
    ),
    *(
        (kind, {"amount": True}, TypeError, "int of micro-credits")
        for kind in (Grant, Reserve, Charge, Refund)
    ),
    *((kind, {"amount": -1}, ValueError, "micro-credits") for kind in WITH_AMOUNT),
    *((kind, {"amount": NEVER + 1}, ValueError, "2\\^53") for kind in WITH_AMOUNT),
    *((kind, {"amount": 0}, ValueError, "from 1") for kind in (Grant, Reserve, Refund)),
    *((kind, {"timeout": 0}, ValueError, "timeout") for kind in (Reserve, Extend)),
    *((kind, {"timeout": 1.5}, TypeError, "timeout") for kind in (Reserve, Extend)),
    *((kind, {"key": ""}, ValueError, "key of its own") for kind in (Refund, Extend)),
    (Charge, {"key": "h/settle", "hold": "other"}, ValueError, "settle"),
    (Refund, {"key": "h/settle"}, ValueError, "settle"),
    (Reserve, {"key": "x" * 194}, ValueError, "193"),
    (Reserve, {"on_timeout": "keep"}, ValueError, "on_timeout"),
    (Reserve, {"member": ""}, ValueError, "member"),
    (Charge, {"on_missing": "ignore"}, ValueError, "on_missing"),
    (Grant, {"priority": 1.0}, ValueError, "priority"),
    (Grant, {"effective": 5, "expires": 5}, ValueError, "before it expires"),
    (Grant, {"expires": -1}, ValueError, "1970"),
    (Grant, {"create": 1}, TypeError, "create"),
    (Grant, {"source": ""}, ValueError, "source"),
    (Grant, {"rollover": 1, "expires": 5}, ValueError, "both"),
    (Grant, {"rollover": 1, "rollover_life": 1}, ValueError, "never expires"),
    (Grant, {"key": "g/expire"}, ValueError, "/expire"),
    (Reserve, {"key": "h/late"}, ValueError, "/late"),
    (Expire, {"key": "mine"}, ValueError, "leave the key out"),
    (Expire, {"grant": ""}, ValueError, "grant"),
    (Expire, {"grant": "x" * 194}, ValueError, "key"),
    (Transfer, {"to": "a"}, ValueError, "another account"),
    (Transfer, {"amount": 0}, ValueError, "from 1"),
    (Clawback, {"grant": ""}, ValueError, "grant"),
    (Clawback, {"amount": 1.0}, TypeError, "int of micro-credits"),
    (Dispute, {"amount": 0}, ValueError, "from 1"),
    (Dispute, {"key": "x" * 194}, ValueError, "193"),
    (DisputeWon, {"hold": ""}, ValueError, "hold"),
    (SetMember, {"cap": -1}, ValueError, "from 0"),
    (SetMember, {"cap": 1.0}, TypeError, "int of micro-credits"),
    (SetMember, {"window": -1}, ValueError, "window"),
    (SetMember, {"member": ""}, ValueError, "member"),
    (SetAlert, {"name": ""}, ValueError, "alert"),
    (SetAlert, {"below": 0}, ValueError, "from 1"),
    (SetAlert, {"rearm": 4}, ValueError, "threshold or above"),
    (SetAlert, {"below": None, "rearm": 4}, ValueError, "no rearm"),
]


@pytest.mark.parametrize(("kind", "change", "error", "words"), WRONG)
def test_wrong_commands_cannot_be_made(
    kind: type[Any], change: dict[str, Any], error: type[Exception], words: str
) -> None:
    kind(**GOOD[kind])
    with pytest.raises(error, match=words):
        kind(**(GOOD[kind] | change))


def test_linked_batches() -> None:
    one, two = Freeze(account="a", key="k"), Freeze(account="b", key="k")
    assert Linked("l", (one, two)).links() == ["l:0:2", "l:1:2"]
    for wrong, words in (
        (("l", (one,)), "2 to 256"),
        (("l", (one, one)), "twice"),
        (("a:b", (one, two)), "colon"),
        (("", (one, two)), "link id"),
    ):
        with pytest.raises(ValueError, match=words):
            Linked(*wrong)


def test_a_presented_receipt_is_no_content() -> None:
    """A precondition, not a part of what is asked: with or without it, it is the same command."""
    plain = Freeze(account="a", key="k")
    assert plain.fingerprint() == dataclasses.replace(plain, seen=Receipt("a", 1, "00")).fingerprint()
