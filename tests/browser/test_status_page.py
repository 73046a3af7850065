"""The status page in a real browser: what people see, with and without JavaScript, on any screen."""

from urllib.parse import urlencode

import pytest
from builders import a_wire_key
from gateway import always, answer
from playwright.sync_api import expect
from processes import Exporter, free_port, wait_until

from exporter.demo.scenario import BLOCKED, DEMO, PARTNER

DESKTOP, PHONE = ({"width": width, "height": 844} for width in (1280, 390))
WIDTHS = sorted({*range(320, 2561, 40), 829, 830, 831})
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "\u202etxt.exe",
)
# A firewall keeps those of BLOCKED away.
ALL = len(DEMO.keys) + len(PARTNER.keys)
ENOUGH_SECONDS = 8
"""Longer than the shortest pause between two refreshes."""


def names(page):
    return [text.split(" #")[0] for text in page.locator("tbody th").all_inner_texts()]


def test_the_demo_shows_an_account_that_is_blocked_first_and_one_with_an_unknown_balance(
    open_page, demo
):
    accounts = open_page(f"{demo.url}/").locator(".account")
    blocked, _, partner = (accounts.nth(number) for number in range(3))

    assert accounts.locator("h3").all_inner_texts() == [BLOCKED.name, DEMO.name, PARTNER.name]
    expect(blocked.locator(".state")).to_have_text("failing: blocked")
    expect(partner.locator(".state")).to_have_text("up")
    expect(partner.locator("dd").first).to_have_text("unknown")
    expect(partner.locator(".trouble.endpoint")).to_contain_text(
        "The balance (/api/user/self) cannot be read and is unknown"
    )


def test_the_demo_shows_its_account_and_the_worst_keys_first(open_page, demo):
    page = open_page(f"{demo.url}/")

    account = page.locator(".account").nth(1)
    expect(account.locator("h3")).to_have_text("demo")
    expect(account.locator(".state")).to_have_text("up")
    expect(account.locator(".gateway")).to_contain_text("http://127.0.0.1:")
    expect(account).to_contain_text(f" of {len(DEMO.keys)}")
    expect(account.locator(".models dt").first).to_have_text("gpt-5.2")
    worst = [
        "load-test",
        "former-contractor",
        "translation",
        "invoice-reader",
        "support-bot",
        "search-ranking",
    ]
    assert [name for name in names(page)[:12] if name in worst] == worst
    assert " not usable, " in page.title()


def test_a_bar_is_as_long_as_the_share_that_is_left(open_page, demo):
    row = (
        open_page(f"{demo.url}/").locator("tbody tr", has_text="notebooks").filter(has_text="#1116")
    )
    whole, left = (row.locator("rect").nth(number).bounding_box()["width"] for number in (0, 1))

    assert 0.40 < left / whole < 0.45


def test_names_of_keys_and_filters_stay_text(open_page, watch):
    watched, _ = watch(
        *(a_wire_key(number, name=name, group=name) for number, name in enumerate(HOSTILE, start=1))
    )
    page = open_page(f"{watched.url}/?sort=id")
    assert names(page) == list(HOSTILE)
    assert page.locator("select[name=group] option").all_inner_texts()[1:] == sorted(HOSTILE)
    page.goto(f"{watched.url}/?{urlencode({'q': HOSTILE[0], 'group': HOSTILE[1]})}")

    expect(page.locator(".nothing")).to_have_text("No key matches. Clear filters")
    expect(page.get_by_label("Search", exact=True)).to_have_value(HOSTILE[0])


def test_choosing_a_group_filters_at_once_and_is_part_of_the_address(open_page, demo):
    page = open_page(f"{demo.url}/")
    page.get_by_label("Group", exact=True).select_option("staging")

    expect(page.locator("#listing")).to_contain_text(f"of {ALL} keys")
    assert page.url == f"{demo.url}/?group=staging"
    assert set(page.locator("td[data-label=Group]").all_inner_texts()) == {"staging"}
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(ALL)
    expect(page.get_by_label("Group", exact=True)).to_have_value("")


def test_search_narrows_while_you_type_and_keeps_the_cursor(open_page, demo):
    page = open_page(f"{demo.url}/")
    search = page.get_by_label("Search", exact=True)
    page.keyboard.press("/")
    page.keyboard.type("notebooks", delay=5)
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(search).to_be_focused()
    page.get_by_role("link", name="Clear filters").click()
    expect(page.locator("tbody tr")).to_have_count(ALL)
    search.fill("notebooks")
    expect(page.locator("tbody tr")).to_have_count(2)
    search.press("Escape")

    expect(page.locator("tbody tr")).to_have_count(ALL)
    expect(search).to_have_value("")


def test_a_head_sorts_and_turns_round_and_keeps_the_focus(open_page, demo):
    page = open_page(f"{demo.url}/?group=research")
    page.get_by_role("link", name="Key", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=ascending] a")).to_be_focused()
    first = names(page)
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=descending] a")).to_be_focused()

    assert first == sorted(first, key=str.casefold)
    assert names(page) == sorted(first, key=str.casefold, reverse=True)
    assert page.url == f"{demo.url}/?group=research&sort=-name"


def test_a_key_is_seen_alone_by_its_name_and_its_query_can_be_copied(open_page, demo):
    page = open_page(f"{demo.url}/")
    page.get_by_role("link", name="invoice-reader").click()
    expect(page.locator(".own")).to_contain_text("5,000,000 units ($10.00)")
    assert page.url == f"{demo.url}/?account=demo&id=1123"
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_label("Search", exact=True).focus()
    page.keyboard.press("Control+V")

    expect(page.get_by_label("Search", exact=True)).to_have_value('{account="demo",key_id="1123"}')


@pytest.mark.parametrize("width", [320, 768, 1440])
def test_a_key_stands_above_its_account_on_its_own_page(open_page, several, width):
    """A screen of 568 pixels, the lowest of a phone, shows how the key is."""
    page = open_page(f"{several}/", viewport={"width": width, "height": 568})
    page.locator("tbody tr").nth(3).get_by_role("link").first.click()
    expect(page.locator("#all-keys")).to_be_visible()
    clicked = layout(page)
    page.reload()

    assert layout(page) == clicked
    assert clicked["badge"] < 568
    assert clicked["badge"] < clicked["account"] < clicked["search"]
    page.get_by_role("link", name="All keys").click()
    expect(page.locator("#tally")).to_be_visible()
    assert layout(page)["account"] < layout(page)["search"] < layout(page)["badge"]


def layout(page):
    """Return how far below the top of the window the first of each is."""
    parts = {"badge": "tbody .badge", "account": ".account", "search": "#q"}
    return {name: page.locator(css).first.bounding_box()["y"] for name, css in parts.items()}


def test_the_facts_of_an_account_stand_in_one_row(open_page, demo):
    page = open_page(f"{demo.url}/", viewport=DESKTOP)
    facts = page.locator(".account").nth(1).locator(".who + dl > div")
    tops = {facts.nth(number).bounding_box()["y"] for number in range(facts.count())}

    assert facts.count() == 5
    assert len(tops) == 1


def test_a_search_on_the_page_of_a_key_keeps_the_cursor(open_page, demo):
    page = open_page(f"{demo.url}/?account=demo&id=1123")
    page.keyboard.press("/")
    page.keyboard.type("notebooks", delay=5)

    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_label("Search", exact=True)).to_be_focused()


def test_the_line_below_the_columns_to_sort_by_spans_the_card(open_page, demo):
    page = open_page(f"{demo.url}/", viewport={"width": 768, "height": 844})
    head, card = (page.locator(css).bounding_box()["width"] for css in ("thead tr", "table"))

    assert head == pytest.approx(card - 2, abs=1)  # two borders of a pixel


def test_ages_tick_between_two_refreshes(open_page, demo):
    age = open_page(f"{demo.url}/").locator(".account time").first
    before = age.inner_text()

    expect(age).not_to_have_text(before, timeout=5_000)


def test_a_page_whose_exporter_is_gone_says_so_until_it_is_back(open_page):
    flags = ("--demo", f"--web.listen-address=127.0.0.1:{free_port()}")
    with Exporter(*flags) as exporter:
        page = open_page(f"{exporter.wait_ready().url}/", expected="ERR_CONNECTION_REFUSED")
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#lost")).to_contain_text(
        "The exporter has not answered since", timeout=30_000
    )
    with Exporter(*flags) as again:
        again.wait_ready()
        expect(page.locator("#lost")).to_be_hidden(timeout=30_000)
        expect(page.locator("tbody tr")).to_have_count(ALL, timeout=30_000)


def test_a_count_by_health_filters(open_page, demo):
    page = open_page(f"{demo.url}/")
    link = page.get_by_role("link", name="Not usable")
    number = int(link.locator("b").inner_text())
    link.click()

    expect(page.locator("tbody tr")).to_have_count(number)
    assert set(
        page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.classList[0])")
    ) == {"unusable"}
    page.get_by_label("Reported status", exact=True).select_option("unknown")
    expect(page.locator(".nothing")).to_contain_text("No key matches.")
    page.locator(".nothing").get_by_role("link", name="Clear filters").click()
    expect(page.locator("tbody tr")).to_have_count(ALL)


def test_it_refreshes_itself_and_keeps_filter_focus_and_scrolling(open_page, watch):
    watched, gateway = watch(
        *(a_wire_key(number, name=f"key {number:03d}", group="vip") for number in range(1, 151))
    )
    page = open_page(f"{watched.url}/?sort=name")
    expect(page.locator("tbody tr")).to_have_count(150)
    page.get_by_label("Group", exact=True).select_option("vip")
    page.get_by_role("link", name="Key", exact=True).focus()
    page.evaluate("scrollTo(0, 700)")
    place = page.locator("#filter").bounding_box()["y"]
    gateway.keys = [
        *gateway.keys,
        a_wire_key(151, name="key 000", group="vip"),
        a_wire_key(152, name="key 0", group=""),
    ]

    expect(page.locator("tbody tr")).to_have_count(151, timeout=ENOUGH_SECONDS * 1000)
    expect(page.get_by_label("Group", exact=True)).to_have_value("vip")
    expect(page.get_by_role("link", name="Key", exact=True)).to_be_focused()
    # The section on today's changes appears above: the browser scrolls by its height.
    expect(page.locator("#changes")).to_be_visible()
    assert page.locator("#filter").bounding_box()["y"] == pytest.approx(place, abs=1)  # a pixel
    assert page.url == f"{watched.url}/?group=vip&sort=name"


def test_a_failure_shows_when_you_return_to_the_page_with_its_reason_error_and_fix(
    open_page, watch
):
    watched, gateway = watch(a_wire_key(1))
    page = open_page(f"{watched.url}/")
    expect(page.locator(".state")).to_have_text("up")
    gateway.faults = always(answer(429))
    wait_until(lambda: '"rate_limited"' in watched.get("/api/v1/keys").text)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(page.locator(".state")).to_have_text("failing: rate_limited")
    expect(page.locator(".trouble")).to_contain_text("Fix: wait")
    expect(page.locator(".trouble q")).to_contain_text("429")
    assert names(page) == ["key 1"]


def test_a_page_that_is_refused_says_with_which_status(open_page, demo):
    page = open_page(f"{demo.url}/", expected="503")
    page.route("**/*", lambda route: route.fulfill(status=503))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(page.locator("#lost")).to_contain_text("The exporter has answered 503 since")


def test_it_works_without_javascript(open_page, demo):
    page = open_page(f"{demo.url}/", java_script_enabled=False)
    page.get_by_label("Search", exact=True).fill("service")
    page.get_by_label("Group", exact=True).select_option("(none)")
    page.get_by_role("button", name="Apply").click()

    expect(page.locator("tbody tr")).to_have_count(27)
    expect(page.get_by_label("Group", exact=True)).to_have_value("(none)")
    page.get_by_role("link", name="Key", exact=True).click()
    assert names(page)[0] == "service-003"
    expect(page.locator("tbody tr")).to_have_count(27)
    page.get_by_role("link", name="Clear filters").click()
    expect(page.locator("tbody tr")).to_have_count(ALL)


@pytest.mark.parametrize("path", ["demo", "demo?account=demo&id=1123", "several"])
def test_nothing_scrolls_sideways_at_any_width(open_page, demo, several, path):
    """The several accounts have keys whose names are long words."""
    page = open_page(
        f"{several}/" if path == "several" else f"{demo.url}/{path.removeprefix('demo')}"
    )
    widths = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        widths[width] = page.evaluate("document.documentElement.scrollWidth")

    assert {window: content for window, content in widths.items() if content > window} == {}


@pytest.mark.parametrize(("width", "display"), [(829, "block"), (830, "table")])
def test_from_830_pixels_on_there_is_a_table(open_page, several, width, display):
    page = open_page(f"{several}/", viewport={"width": width, "height": 844})

    assert page.evaluate("getComputedStyle(document.querySelector('table')).display") == display


def test_dark_and_light_follow_the_system(open_page, demo):
    def ground(scheme):
        return open_page(f"{demo.url}/", color_scheme=scheme).evaluate(
            "getComputedStyle(document.documentElement).backgroundColor"
        )

    assert (ground("light"), ground("dark")) == ("rgb(245, 246, 248)", "rgb(18, 21, 26)")


def test_the_keyboard_gets_past_the_header_with_one_key(open_page, demo):
    page = open_page(f"{demo.url}/")
    page.keyboard.press("Tab")

    expect(page.get_by_role("link", name="Skip to the keys")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#listing")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_checker_of_accessibility_finds_nothing(open_page, demo, several, axe, scheme):
    """Neither on the demo nor in trouble."""
    for url, viewport in (
        (f"{demo.url}/?q=112", DESKTOP),
        (f"{demo.url}/?q=112", PHONE),
        (f"{several}/", DESKTOP),
    ):
        page = open_page(url, color_scheme=scheme, viewport=viewport)
        page.get_by_text("How to read this page").click()
        page.evaluate(axe)
        found = page.evaluate(
            "axe.run().then((run) => run.violations.map((v) => [v.id, v.nodes.map((n) => n.html)]))"
        )

        assert found == []
