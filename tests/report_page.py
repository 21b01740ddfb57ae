"""Reading the report's HTML in tests."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Every tag with its attributes; fails on a tag closed in the wrong place."""

    VOID = frozenset({"meta", "img", "br", "!doctype"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def attributes(text: str, tag: str) -> list[dict[str, str | None]]:
    """Of every tag of this name, in the page's order."""
    return [found for name, found in Page(text).tags if name == tag]
