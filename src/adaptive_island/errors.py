"""What can go wrong with an island: only before it is open. Its request path raises nothing but
ValueError."""

from __future__ import annotations


class IslandError(Exception):
    """Base of everything this package raises by itself."""

    code = "island"
    retryable = False
    retry_after: float | None = None


class UnknownStore(IslandError):
    """The URL names no kind of store that this package knows."""

    code = "unknown_store"

    def __init__(self, url: str, known: tuple[str, ...]) -> None:
        self.url, self.known = url, known
        super().__init__(f"no store for {url!r}; this version opens {', '.join(known)}")


class BadDocument(IslandError):
    """A ranking or attempt document does not have the published form; `issues` says where."""

    code = "bad_document"

    def __init__(self, document: str, issues: tuple[str, ...]) -> None:
        self.document, self.issues = document, issues
        super().__init__(f"not a valid {document} document: {'; '.join(issues)}; see schemas/{document}.json")
