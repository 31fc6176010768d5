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


class MissingExtra(IslandError):
    """A store or a picture needs a package that is not installed."""

    code = "missing_extra"

    def __init__(self, what: str, extra: str, error: ImportError) -> None:
        self.extra = extra
        super().__init__(
            f"{what} need a package that is missing ({error}): pip install 'babysea-primitives[{extra}]'"
        )


class StoreTrouble(IslandError):
    """A store cannot be used as it is; the text says what to do. An island only tells of it and goes on."""

    code = "store"
    retryable = True


class BadDocument(IslandError):
    """A ranking or attempt document does not have the published form; `issues` says where."""

    code = "bad_document"

    def __init__(self, document: str, issues: tuple[str, ...]) -> None:
        self.document, self.issues = document, issues
        super().__init__(f"not a valid {document} document: {'; '.join(issues)}; see schemas/{document}.json")
