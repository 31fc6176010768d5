"""Hooks of the documentation's generator (properdocs.yml): what GitHub shows and Markdown alone does not.

Pages link to the scripts of examples/, which lie outside docs/: they are put into the site. A block that
shows a file names it behind its language; here the name becomes a line above the block.
"""

import re
from pathlib import Path
from typing import Any

from properdocs.structure.files import File, Files

_SCRIPT = re.compile(r"\]\(\.\./((?:\.\./)*examples/[\w./-]+\.(?:py|sh|yaml)\))")
_NAMED = re.compile(r"^```(\w+) ([\w.-]+/\S+)$", re.MULTILINE)


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the scripts that pages point at."""
    root = Path(config.config_file_path).parent
    for path in sorted(root.glob("examples/**/*.*")):
        if path.suffix in (".py", ".sh", ".yaml") and path.stat().st_size and "demo" not in path.parts:
            files.append(File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point at the scripts where the site has them, and write names of files above their blocks."""
    return _NAMED.sub(_named, _SCRIPT.sub(r"](\1", markdown))


def _named(block: re.Match[str]) -> str:
    """Unless the sentence above has the name already."""
    told = block[2] in block.string[: block.start()].rstrip().rpartition("\n")[2]
    return ("" if told else f"`{block[2]}`\n\n") + f"```{block[1]}"
