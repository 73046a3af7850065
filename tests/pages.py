"""Build pages of keys, and walk through them."""

from domain import keys

from exporter.cometapi.paging.walks import Walk, listing_of, walk
from exporter.cometapi.wire import Page
from exporter.model import Listing


def a_page(ids, *, total: int | None = None, size: int | None = 2, **over) -> Page:
    """Build a page of two keys at most, without a total unless told otherwise."""
    return Page(keys=keys(*ids), total=total, size=size, **over)


def a_bare_page(ids) -> Page:
    """Build a page as the gateways without an envelope send it."""
    return a_page(ids, size=None, is_bare_list=True)


def asked_together(pages: Walk, most: int = 10) -> list[int]:
    """Return the pages that the walk wants now, before any of them arrives."""
    asked: list[int] = []
    while len(asked) < most and (number := pages.next_page()) is not None:
        asked.append(number)
    return asked


def walk_through(*pages: Page, **options) -> tuple[Listing, int]:
    """Answer each request with its page, later ones with the last; return how many were read too."""
    read = 1
    walked = walk(pages[0], **options)
    while (number := walked.next_page()) is not None:
        walked.receive(number, pages[min(number, len(pages) - 1)])
        read += 1
        assert read < 100, "the walk does not end"
    return listing_of(walked), read


def ids_of(listing: Listing) -> list[int]:
    """Return the ids of the keys that were read, lowest first."""
    return sorted(key.id for key in listing.keys)
