"""Write `docs/providers.md`: what each provider's module declares, with the source of every row.

    python -m tools.providers_page

A test checks that the page is current. Nothing here is written by hand: the modules are what the machine
decides by, so a page that disagreed with them would be wrong about money.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from types import ModuleType

from execution_arrow.credentials import SETTINGS, VARIABLES, WEBHOOKS
from execution_arrow.providers import shipped
from execution_arrow.providers._wire import HTTP_RULES, Rule
from execution_arrow.providers.base import Events, Provider, Semantics
from tools.packages import ROOT
from tools.page import write

__all__ = ["PAGE", "render"]

PAGE = ROOT / "docs" / "providers.md"
HEAD = """# Providers

Generated from the modules in `execution_arrow.providers` by `python -m tools.providers_page`; do not edit.

What a provider does when something goes wrong decides who is asked next and what is paid, so every module
declares it, and the machine decides by these declarations alone. Keys are read from the environment;
`base_urls={"name": "https://…"}` replaces an address.

"""
READING = """\

- **poll**: the least pause between two questions.
- **cancel**: the states in which it can work; *free* where a canceled job costs nothing; *erases* where the
  same call removes a finished job's record, so that the status is asked for right before it.
- **lookup**: whether a job whose submit answer was lost can be looked for. `suggestive`: a match is proof,
  no match is none.
- **billed too**: what the provider charges beside successes.
- **deadlines**: what an attempt is given for a picture and for a clip, unless the policy says otherwise.
"""
RESULTS = """\
## Results

Results are copied at once. An address that leads nowhere before the copy is whole (after a crash, or while
there was no place to keep files) is not the end: the job is asked for another one, three times in a row at
most, for as long as the table says; asking costs nothing. Only when the job has none is the result lost.

"""
ERRORS = """\

## Errors

First match first. Fault `caller` ends the generation, `provider` and `account` make it the next provider's
turn (`account`: nothing more is sent with this key for a while), `here` means the same provider after a
pause. An answer to a submit that no row names proves nothing: the attempt is `unknown`.
"""


def render() -> str:
    providers = shipped()
    names = sorted(providers)
    lines = [
        *_table(_OVERVIEW, (_overview(providers[name]) for name in names)),
        READING,
        RESULTS.rstrip(),
        "",
    ]
    lines += _table(_RESULTS, (_results(providers[name].semantics) for name in names))
    lines += [ERRORS]
    lines += ["After a provider's own rows, these hold for the answer to every submit:", ""]
    lines += _table(_RULES, _rows({"": HTTP_RULES}))
    for name in names:
        module = importlib.import_module(f"execution_arrow.providers.{name}")
        lines += ["", f"## {name}", "", *_section(module, providers[name].semantics)]
    return HEAD + "\n".join(lines) + "\n"


_OVERVIEW = ("provider", "key", "poll", "callback", "cancel", "lookup", "billed too", "deadlines")


def _overview(provider: Provider) -> tuple[str, ...]:
    it = provider.semantics
    calls: str = it.webhook or "–"
    if isinstance(provider.callbacks, Events):
        calls = f"signed, per project (`{WEBHOOKS[f'{it.name}/webhooks']}`)"
    variables = [VARIABLES[it.name], *SETTINGS.get(it.name, {}).values()]
    cancel = [str(it.cancel or "–"), "free" if it.cancel_free else "", "erases" if it.cancel_erases else ""]
    return (
        it.name,
        ", ".join(f"`{variable}`" for variable in variables),
        _span(it.poll_every),
        calls,
        ", ".join(filter(None, cancel)),
        it.lookup or "–",
        ", ".join(sorted(it.billed)) or "–",
        f"{_span(it.image_deadline)}, {_span(it.video_deadline)}",
    )


_RESULTS = ("provider", "an address is good for", "another one is asked for", "source")


def _results(it: Semantics) -> tuple[str, ...]:
    return it.name, _span(it.artifact_life), _span(it.renewed_for), it.results_source


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _section(module: ModuleType, semantics: Semantics) -> Iterator[str]:
    theory = str(module.__doc__).partition("\n\n")[2].strip()
    yield str(module.__doc__).partition("\n")[0]
    yield ""
    yield from (" ".join(part.split()) + "\n" for part in theory.split("\n\n"))
    yield f"Address: `{semantics.base_url}`" + "".join(
        f"; {region}: `{url}`" for region, url in sorted(semantics.regions.items())
    )
    statuses = getattr(module, "STATUSES", ())
    if isinstance(statuses, Mapping):
        words = [(f"`{word}`", _words(fact.__name__)) for word, fact in statuses.items()]
        yield from ("", *_table(("status", "means"), words))
    elif statuses:
        yield from ("", "Statuses: " + ", ".join(f"`{word}`" for word in statuses))
    tables = {name: rows for name, rows in vars(module).items() if name.endswith("_RULES")}
    yield from ("", *_table(_RULES, _rows(tables)))


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


_RULES = ("where", "status", "code", "text", "fault", "source")


def _rows(tables: Mapping[str, tuple[Rule, ...]]) -> Iterator[tuple[str, ...]]:
    """Every row once, where it stands first; neighbours that differ in their code alone are one line."""
    seen: set[Rule] = set() if "" in tables else set(HTTP_RULES)
    for name, rules in tables.items():
        if name == "HTTP_RULES":
            continue
        fresh = [rule for rule in rules if rule not in seen]
        seen.update(fresh)
        for key, group in groupby(fresh, key=_but_code):
            status, text, fault, source = key
            codes = [f"`{rule.code}`" for rule in group if rule.code]
            where = name.removesuffix("_RULES").lower()
            yield (where, status, ", ".join(codes) or "any", text, fault, source)


def _but_code(rule: Rule) -> tuple[str, str, str, str]:
    fault = f"{rule.fault}, moderation" if rule.moderation else str(rule.fault)
    text = f"`{rule.text}`".replace("|", "\\|") if rule.text else "any"
    return ", ".join(map(str, rule.status)) or "any", text, fault, rule.source


def _table(names: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, str]]) -> list[str]:
    head = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    return [*head, *(f"| {' | '.join(row)} |" for row in rows)]


if __name__ == "__main__":
    sys.exit(write(PAGE, render()))
