"""README and docs say what the code says, where running their blocks does not show it."""

import re
from pathlib import Path

import pytest

import execution_arrow.errors as errors
from execution_arrow import cli
from execution_arrow.codes import CODES
from execution_arrow.sandbox import KINDS
from ledger_fortress import Reason
from tools import providers_page
from tools.packages import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_first_example_is_the_script() -> None:
    """The README's example is examples/quickstart.py, of at most 15 lines that do something."""
    script = (ROOT / "examples" / "quickstart.py").read_text("utf-8").partition('"""\n\n')[2]
    assert script in README
    code = re.sub(r"\(\n\s+(.*)\n\s+\)", r"(\1)", script)  # calls that only the line length broke
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


def test_the_three_numbers_are_in_the_results() -> None:
    """README quotes what benchmarks/RESULTS.md holds; when that is measured anew, README follows."""
    table = README.partition("## Three numbers")[2].partition("\n## ")[0]
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    for row in re.findall(r"^\| (\*\*.*) \| `make bench ARGS=(\w+)` \|$", table, re.M):
        quoted, bench = row
        assert f"`python -m benchmarks.{bench}`" in results
        for number in re.findall(r"\d+\.\d+(?: µs)?", quoted):
            assert re.search(rf"(?<![\d.]){re.escape(number)}", results), f"{number} is not in the results"
    assert table.count("make bench ARGS=") == 3


def test_the_page_of_providers_is_current() -> None:
    """After a change of a provider's module: `python -m tools.providers_page`."""
    assert providers_page.PAGE.read_text("utf-8") == providers_page.render()


def test_faults_are_listed() -> None:
    """The table of faults is the code's."""
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs" / "sandbox.md").read_text("utf-8"), re.M)
    )
    assert rows == KINDS


def test_errors_are_listed() -> None:
    """Each error that a caller of `Arrow` may meet, with code, status and whether to send again."""
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\d+) \| (yes|no) \|", page, re.M)
    assert {name: told for name, *told in rows} == {
        error.__name__: [error.code, str(error.http_status), "yes" if error.retryable else "no"]
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.ArrowError) and error not in OF_PORTS
    }
    told = set(re.findall(r"^\| `(\w+)` \| [a-z]", page, re.M))
    assert told == {reason.value for reason in Reason}


def test_codes_are_listed() -> None:
    """The table of codes is the code's."""
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    rows = re.findall(r"^\| (BSE\d+) \| `(\w+)` \| (\d+) \| (yes|no) \| (.+) \| (\w+) \|$", page, re.M)
    assert rows == [
        (c.code, c.type, str(c.http), "yes" if c.retryable else "no", c.meaning, c.source)
        for c in CODES.values()
    ]
    assert len({code.type for code in CODES.values()}) == len(CODES)


OF_PORTS = {
    errors.ArrowError, errors.NotSentError, errors.MaybeSentError, errors.EgressRefused,
    errors.PayloadUnsupported, errors.ArtifactGone, errors.ArtifactRetry, errors.InputGone,
    errors.InputRetry,
}  # fmt: skip


def test_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    commands = re.findall(r"^    (\w+)(?: {2}|$)", capsys.readouterr().out.partition("COMMAND\n")[2], re.M)
    assert sorted(re.findall(r"^\| `(\w+)[^`]*` \|", page, re.M)) == sorted(commands)


def test_examples_are_listed() -> None:
    """The page of examples has every script, and says no more of it than one line."""
    page = (ROOT / "docs" / "examples.md").read_text("utf-8")
    scripts = {path.name for path in (ROOT / "examples").glob("*.*") if path.stat().st_size}
    assert set(re.findall(r"^\| \[`([\w.]+)`\]", page, re.M)) == scripts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_at_exists(page: Path) -> None:
    """Links within the repository, and the tests that are named as proof."""
    text = page.read_text("utf-8")
    links = [page.parent / link for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    proofs = [ROOT / path for path in re.findall(r"\btests/[\w/.]*\w", text)]
    assert not [str(path) for path in (*links, *proofs) if not path.exists()]
