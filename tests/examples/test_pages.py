"""README and docs say what the code says, where running their blocks does not show it."""

import re
from pathlib import Path

import pytest

from execution_arrow.credentials import SETTINGS, VARIABLES
from execution_arrow.providers import shipped
from execution_arrow.sandbox import KINDS
from tools import providers_page
from tools.packages import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_first_example_is_the_script() -> None:
    """The README's example is examples/quickstart.py, of at most 15 lines that do something."""
    script = (ROOT / "examples" / "quickstart.py").read_text("utf-8").partition('"""\n\n')[2]
    assert script in README
    code = re.sub(r"\(\n\s+(.*)\n\s+\)", r"(\1)", script)  # calls that only the line length broke
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


def test_variables_of_real_providers() -> None:
    """Every provider with a client, and no other, is in the README's table with what it reads."""
    names = {name for name in (*VARIABLES, *shipped()) if name in shipped()}
    needed = {VARIABLES[name] for name in names}
    needed |= {variable for name in names for variable in SETTINGS.get(name, {}).values()}
    named = set(re.findall(r"`([A-Z][A-Z0-9_]{5,})`", README))
    assert named == needed


def test_the_page_of_providers_is_current() -> None:
    """After a change of a provider's module: `python -m tools.providers_page`."""
    assert providers_page.PAGE.read_text("utf-8") == providers_page.render()


def test_faults_are_listed() -> None:
    """The table of faults is the code's."""
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs" / "sandbox.md").read_text("utf-8"), re.M)
    )
    assert rows == KINDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_at_exists(page: Path) -> None:
    """Links within the repository, and the tests that are named as proof."""
    text = page.read_text("utf-8")
    links = [page.parent / link for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    proofs = [ROOT / path for path in re.findall(r"\btests/[\w/.]*\w", text)]
    assert not [str(path) for path in (*links, *proofs) if not path.exists()]
