"""The status page in a real browser: what people see, with and without JavaScript, on any screen."""

import pytest
from builders import a_wire_key
from gateway import always, answer
from playwright.sync_api import expect
from processes import Exporter, free_port, wait_until

from exporter.demo.scenario import KEYS

DESKTOP, TABLET, PHONE = ({"width": width, "height": 844} for width in (1280, 830, 390))
WIDTHS = sorted({*range(320, 2561, 40), 829, 830, 831})
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "\u202etxt.exe")
ALL = len(KEYS)
ENOUGH_SECONDS = 8
"""Longer than the shortest pause between two refreshes."""


def names(page):
    return [text.split(" #")[0] for text in page.locator("tbody th").all_inner_texts()]


def test_the_demo_shows_its_account_and_the_worst_keys_first(open_page, demo):
    page = open_page(f"{demo.url}/")

    account = page.locator(".account")
    expect(account.locator("h3")).to_have_text("demo")
    expect(account.locator(".state")).to_have_text("up")
    expect(account.locator(".gateway")).to_contain_text("http://127.0.0.1:")
    expect(account).to_contain_text(f" of {ALL}")
    worst = ["load-test", "former-contractor", "translation", "invoice-reader", "support-bot", "search-ranking"]
    assert [name for name in names(page)[:12] if name in worst] == worst
    assert " not working, " in page.title()


def test_a_row_shows_health_with_its_reason_money_expiry_and_last_use(open_page, demo):
    row = open_page(f"{demo.url}/").locator("tbody tr", has_text="invoice-reader")

    assert [" ".join(text.split()) for text in row.locator("th, td").all_inner_texts()] == [
        "invoice-reader #1123",
        "production",
        "EXPIRED 2 d reported as enabled",
        "$10.00 83 % of $12.00",
        "2 days ago",
        "2 days ago",
    ]


def test_a_bar_is_as_long_as_the_share_that_is_left(open_page, demo):
    row = open_page(f"{demo.url}/").locator("tbody tr", has_text="notebooks").filter(has_text="#1116")
    whole, left = (row.locator("rect").nth(number).bounding_box()["width"] for number in (0, 1))

    assert 0.40 < left / whole < 0.45


def test_names_of_keys_stay_text(open_page, watch):
    watched, _ = watch(*(a_wire_key(number, name=name, group=name) for number, name in enumerate(HOSTILE, start=1)))
    page = open_page(f"{watched.url}/?sort=id")

    assert names(page) == list(HOSTILE)
    assert page.locator("tbody img, tbody script").count() == 0
    assert page.locator("select[name=group] option").all_inner_texts()[1:] == sorted(HOSTILE)


def test_hostile_filters_stay_text(open_page, demo):
    page = open_page(
        f"{demo.url}/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&group=%3Cimg%20src=x%20onerror=alert(1)%3E"
    )

    expect(page.locator(".nothing")).to_have_text("No key matches. Clear filters")
    expect(page.get_by_label("Search", exact=True)).to_have_value('"><script>alert(1)</script>')


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
    page.get_by_label("Search", exact=True).press_sequentially("notebooks", delay=5)

    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.get_by_role("link", name="Clear filters").click()
    expect(page.locator("tbody tr")).to_have_count(ALL)
    expect(page.get_by_label("Search", exact=True)).to_have_value("")


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


def test_slash_goes_to_the_search_and_escape_clears_it(open_page, demo):
    page = open_page(f"{demo.url}/")
    page.keyboard.press("/")
    page.keyboard.type("notebooks")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.keyboard.press("Escape")

    expect(page.locator("tbody tr")).to_have_count(ALL)
    expect(page.get_by_label("Search", exact=True)).to_be_focused()


def test_a_key_is_seen_alone_by_its_name_and_its_query_can_be_copied(open_page, demo):
    page = open_page(f"{demo.url}/")
    page.get_by_role("link", name="invoice-reader").click()
    expect(page.locator(".own")).to_contain_text("5,000,000 units ($10.00)")
    assert page.url == f"{demo.url}/?account=demo&id=1123"
    page.get_by_role("button", name="Copy").first.click()
    page.get_by_label("Search", exact=True).focus()
    page.keyboard.press("Control+V")

    expect(page.get_by_label("Search", exact=True)).to_have_value('{account="demo",key_id="1123"}')


def test_ages_tick_between_two_refreshes(open_page, demo):
    age = open_page(f"{demo.url}/").locator(".account time").first
    before = age.inner_text()

    expect(age).not_to_have_text(before, timeout=5_000)


def test_a_page_whose_exporter_is_gone_says_so_until_it_is_back(open_page):
    flags = ("--demo", f"--web.listen-address=127.0.0.1:{free_port()}")
    with Exporter(*flags) as exporter:
        page = open_page(f"{exporter.wait_ready().url}/", expected="ERR_CONNECTION_REFUSED")
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#lost")).to_contain_text("The exporter has not answered since", timeout=30_000)
    with Exporter(*flags) as again:
        again.wait_ready()
        expect(page.locator("#lost")).to_be_hidden(timeout=30_000)
        expect(page.locator("tbody tr")).to_have_count(ALL, timeout=30_000)


def test_a_count_by_health_filters(open_page, demo):
    page = open_page(f"{demo.url}/")
    link = page.get_by_role("link", name="Not working")
    number = int(link.locator("b").inner_text())
    link.click()

    expect(page.locator("tbody tr")).to_have_count(number)
    assert set(page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.classList[0])")) == {"dead"}
    page.get_by_label("Reported status", exact=True).select_option("unknown")
    expect(page.locator(".nothing")).to_contain_text("No key matches.")
    page.locator(".nothing").get_by_role("link", name="Clear filters").click()
    expect(page.locator("tbody tr")).to_have_count(ALL)


def test_it_refreshes_itself_and_keeps_filter_focus_and_scrolling(open_page, watch):
    watched, gateway = watch(*(a_wire_key(number, name=f"key {number:03d}", group="vip") for number in range(1, 151)))
    page = open_page(f"{watched.url}/?sort=name")
    expect(page.locator("tbody tr")).to_have_count(150)
    page.get_by_label("Group", exact=True).select_option("vip")
    page.get_by_role("link", name="Key", exact=True).focus()
    page.evaluate("scrollTo(0, 700)")
    gateway.keys = [
        *gateway.keys,
        a_wire_key(151, name="key 000", group="vip"),
        a_wire_key(152, name="key 0", group=""),
    ]

    expect(page.locator("tbody tr")).to_have_count(151, timeout=ENOUGH_SECONDS * 1000)
    expect(page.get_by_label("Group", exact=True)).to_have_value("vip")
    expect(page.get_by_role("link", name="Key", exact=True)).to_be_focused()
    assert page.evaluate("scrollY") == 700
    assert page.url == f"{watched.url}/?group=vip&sort=name"


def test_a_failure_shows_when_you_return_to_the_page_with_its_reason_error_and_fix(open_page, watch):
    watched, gateway = watch(a_wire_key(1))
    page = open_page(f"{watched.url}/")
    expect(page.locator(".state")).to_have_text("up")
    gateway.faults = always(answer(429))
    wait_until(lambda: '"rate_limited"' in watched.get("/api/v1/keys").text)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(page.locator(".state")).to_have_text("down: rate_limited")
    expect(page.locator(".trouble")).to_contain_text("Fix: wait")
    expect(page.locator(".trouble q")).to_contain_text("429")
    assert names(page) == ["key 1"]


def test_a_page_that_is_refused_says_with_which_status(open_page, demo):
    page = open_page(f"{demo.url}/", expected="503")
    page.route("**/*", lambda route: route.fulfill(status=503))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(page.locator("#lost")).to_contain_text("The exporter has answered 503 since")


def test_a_long_list_is_cut_into_pages(open_page, watch):
    watched, _ = watch(*(a_wire_key(number) for number in range(1, 402)))
    page = open_page(f"{watched.url}/?sort=id")
    expect(page.locator(".pages")).to_have_text(["1\N{EN DASH}200 of 401 keys 1 2 3 Next"] * 2)
    page.locator(".pages").last.get_by_role("link", name="Next").click()

    expect(page.locator("tbody th").first).to_contain_text("key 201")
    assert page.url == f"{watched.url}/?sort=id&page=2"


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


@pytest.mark.parametrize("viewport", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
def test_nothing_is_wider_than_the_screen(open_page, watch, viewport):
    watched, _ = watch(a_wire_key(1, name="W" * 50, group="M" * 50), a_wire_key(2, name="a" * 50, group="b-" * 25))
    page = open_page(f"{watched.url}/?sort=id", viewport=viewport)
    expect(page.locator("tbody th").first).to_contain_text("WWW")

    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


@pytest.mark.parametrize("path", ["/", "/?account=main&id=1123"])
def test_the_demo_never_scrolls_sideways(open_page, demo, path):
    assert too_wide(open_page(f"{demo.url}{path}")) == {}


def test_several_accounts_never_scroll_sideways(open_page, several):
    assert too_wide(open_page(f"{several}/")) == {}


def too_wide(page):
    """Return the width of the content at every width of the window that it does not fit into."""
    widths = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        widths[width] = page.evaluate("document.documentElement.scrollWidth")
    return {window: content for window, content in widths.items() if content > window}


@pytest.mark.parametrize(("width", "display"), [(829, "block"), (830, "table")])
def test_from_830_pixels_on_there_is_a_table(open_page, several, width, display):
    page = open_page(f"{several}/", viewport={"width": width, "height": 844})

    assert page.evaluate("getComputedStyle(document.querySelector('table')).display") == display


def test_an_account_that_was_never_read_says_why_its_list_is_empty(open_page, several):
    page = open_page(f"{several}/")
    page.locator(".account h3").get_by_role("link", name="broken").click()

    expect(page.locator(".nothing")).to_contain_text("Account broken has not been read yet: unauthorized since")


def test_on_a_phone_every_fact_is_there_with_its_name(open_page, demo):
    page = open_page(f"{demo.url}/?q=support-bot", viewport=PHONE, has_touch=True, is_mobile=True)
    cells = page.locator("tbody tr td[data-label]")

    assert [cells.nth(number).get_attribute("data-label") for number in range(cells.count())] == [
        "Group",
        "Expires",
        "Last used",
    ]
    assert all(cells.nth(number).is_visible() for number in range(cells.count()))
    assert page.locator("tbody .badge").inner_text() == "EXPIRES IN 4 h"
    page.get_by_role("link", name="Last used").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Last used")


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
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_checker_of_accessibility_finds_nothing(open_page, demo, axe, scheme, viewport):
    page = open_page(f"{demo.url}/?q=112", color_scheme=scheme, viewport=viewport)
    page.get_by_text("How to read this page").click()
    page.evaluate(axe)
    found = page.evaluate("axe.run().then((run) => run.violations.map((v) => [v.id, v.nodes.map((n) => n.html)]))")

    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_checker_finds_nothing_in_trouble_either(open_page, watch, axe, scheme):
    watched, gateway = watch(a_wire_key(1, name=""), a_wire_key(2, remain_quota=0))
    gateway.faults = always(answer(401))
    wait_until(lambda: '"unauthorized"' in watched.get("/api/v1/keys").text)
    page = open_page(f"{watched.url}/", color_scheme=scheme)
    expect(page.locator(".trouble")).to_be_visible()
    page.evaluate(axe)
    found = page.evaluate("axe.run().then((run) => run.violations.map((v) => [v.id, v.nodes.map((n) => n.html)]))")

    assert found == []


def test_disabled_there_is_neither_page_nor_data():
    with Exporter("--demo", "--web.no-status-page") as quiet:
        quiet.wait_ready()
        answers = {path: quiet.get(path) for path in ("/", "/api/v1/keys", "/metrics")}

    assert {path: answer.status_code for path, answer in answers.items()} == {
        "/": 404,
        "/api/v1/keys": 404,
        "/metrics": 200,
    }
    assert answers["/"].text == "the status page is disabled; the metrics are at /metrics\n"
