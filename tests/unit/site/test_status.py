"""What is sent: the page as it is written down, the JSON, style and script."""

import asyncio
import html
import re
from dataclasses import replace

import httpx
import pytest
from domain import DAY, NOW, a_balance, a_read_state, a_snapshot, a_state, an_api_key, failure
from starlette.applications import Starlette

from exporter.errors import Reason
from exporter.model import Spending, Usage
from exporter.site.bound import Bound
from exporter.site.choose import Query
from exporter.site.status import StatusPage
from exporter.snapshot import Snapshot

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


SHOWN = []
"""The snapshot that `PAGE` shows."""

PAGE = StatusPage(read_snapshot=lambda: SHOWN[-1], clock=lambda: NOW, telemetry_path="/metrics", bound=Bound())


def request(path="/", *, snapshot=None, method="GET", **headers):
    """Ask a status page over *snapshot*, without a socket."""
    SHOWN[:] = [snapshot or a_snapshot(an_api_key())]

    async def ask():
        transport = httpx.ASGITransport(Starlette(routes=PAGE.routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


def texts(markup, tag, **attributes):
    """Return the text of every element *tag* with these attributes, as people read it."""
    wanted = "".join(rf'[^>]*{name}="[^"]*{value}' for name, value in attributes.items())
    inner = re.findall(rf"<{tag}\b{wanted}[^>]*>(.*?)</{tag}>", markup, flags=re.DOTALL)
    return [html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split())) for text in inner]


def row(*keys, path="/", **account):
    """Return the cells of the only key's row."""
    text = request(path, snapshot=Snapshot.of([a_read_state(*keys, **account)])).text
    body = text[text.index("<tbody>") :]
    return [*texts(body, "th"), *texts(body, "td")]


# The page.


def test_a_row_says_all_of_a_key():
    key = an_api_key(
        id=9,
        name="bot",
        group="vip",
        remaining_quota=1_500_000,
        used_quota=500_000,
        expires_at=NOW + 5 * 3_600,
        last_used_at=NOW - 90,
        has_model_limits=True,
    )

    assert row(key) == [
        "bot #9 some models only",
        "vip",
        "EXPIRES IN 5 h",
        "$3.00 75 % of $4.00",
        "in 5 hours",
        "90 seconds ago",
    ]


@pytest.mark.parametrize(
    ("facts", "quota"),
    [
        ({"remaining_quota": None, "used_quota": 500_000}, "unlimited $1.00 used"),
        ({"remaining_quota": -1_250, "used_quota": 500_000}, "overdrawn $0.0025 of $1.00"),
        ({"remaining_quota": 0, "used_quota": 500_000}, "$0.00 0 % of $1.00"),
    ],
)
def test_the_quota_is_said_as_one_decides_by_it(facts, quota):
    assert row(an_api_key(**facts))[3] == quota


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"remaining_quota": 0}, "EXHAUSTED reported as enabled"),
        ({"status": 4, "remaining_quota": 0}, "EXHAUSTED"),
        ({"status": 2}, "DISABLED"),
        ({}, "OK"),
    ],
)
def test_where_the_reported_status_misleads_it_is_said(facts, words):
    assert row(an_api_key(**facts))[2] == words


def test_a_key_of_an_account_that_fails_says_how_old_what_is_known_of_it_is():
    state = a_read_state(an_api_key(), at=NOW - 600).failed(failure(Reason.TIMEOUT), NOW - 60)

    text = request(snapshot=Snapshot.of([state])).text

    assert texts(text, "td", **{"class": "health"}) == ["OK as of 10 minutes ago"]


def test_an_unlimited_key_has_no_bar_and_what_never_was_is_never():
    key = an_api_key(remaining_quota=None, last_used_at=None, name="")

    assert row(key) == ["no name #1", "none", "OK", "unlimited $0.0020 used", "never", "never"]
    assert "<svg" not in request(snapshot=a_snapshot(key)).text


def test_a_key_has_a_view_with_exact_times_and_queries_to_copy():
    key = an_api_key(id=9, expires_at=NOW + DAY, created_at=None, last_used_at=None)
    text = request("/?account=main&id=9", snapshot=a_snapshot(key, an_api_key(id=99))).text
    facts = dict(zip(texts(text, "dt"), texts(text, "dd"), strict=True))

    assert facts["Health"] == "Warning: expires within a week, or under 10 % of the quota left"
    assert facts["Reported status"] == "enabled (1)"
    assert (facts["Created"], facts["Last used"]) == ("unknown", "never")
    assert facts["Expires"] == "2025-06-16 15:06:40 UTC, in 24 hours"
    assert facts["Left"] == "500,000 units ($1.00)"
    assert facts["Used"] == "1,000 units ($0.0020)"
    assert texts(text, "code") == [
        '{account="main",key_id="9"}',
        'delta(cometapi_key_used_quota{account="main",key_id="9"}[1h])',
    ]


def test_the_name_of_a_key_leads_to_its_view():
    assert (
        'href="?account=a%26b&amp;id=9"'
        in request(snapshot=Snapshot.of([a_read_state(an_api_key(id=9), name="a&b")])).text
    )


def test_an_account_says_its_gateway_money_age_and_next_refresh():
    state = a_read_state(an_api_key(), an_api_key(id=2, status=2), at=NOW - 8, balance=a_balance())
    state = replace(state, gateway="https://gw.example", next_refresh_at=NOW + 52)
    text = request(snapshot=Snapshot.of([state])).text

    assert texts(text, "div", **{"class": "who"}) == ["main up https://gw.example"]
    assert texts(text, "dd")[:4] == ["$50.00 $20.05 used, 339 requests", "1 of 2", "8 seconds ago", "in 52 seconds"]


def test_an_account_before_its_first_refresh_says_so():
    text = request(snapshot=Snapshot.of([a_state()])).text

    assert texts(text, "dd")[:4] == ["no data", "no data", "no data yet", "in progress"]
    assert texts(text, "p", **{"class": "state"}) == ["starting"]


def test_a_refresh_that_is_due_is_in_progress():
    text = request(snapshot=Snapshot.of([replace(a_read_state(), next_refresh_at=NOW)])).text

    assert texts(text, "dd")[3] == "in progress"


def test_an_account_whose_balance_is_not_reported_says_so():
    assert texts(request().text, "dd")[0] == "not available"


def test_what_models_cost_is_said_in_dollars_of_the_account():
    spending = Spending(read_at=NOW - 600, models=((HOSTILE, 500_000, 4_000_000), ("other models", 0, 1_000_000)))
    state = replace(a_read_state(configured_units_per_usd=1_000_000.0), usage=Usage(spending=spending))
    text = request(snapshot=Snapshot.of([state])).text
    section = text[text.index('<div class="models">') : text.index("</main>")]

    assert texts(section, "h4") == ["Spending by model this month and today UTC, read 10 minutes ago"]
    assert texts(section, "dt") == [HOSTILE, "other models"]
    assert texts(section, "dd") == ["$4.00 $0.50 today", "$1.00 $0.00 today"]
    assert "<img" not in text


SPENT = Usage(spending=Spending(read_at=NOW, models=(("m", 1, 2),)))


@pytest.mark.parametrize(
    "state",
    [
        a_read_state(),
        replace(a_read_state(), usage=Usage()),
        replace(a_read_state(), usage=Usage(spending=Spending(read_at=NOW, models=()))),
        replace(a_read_state(), usage=SPENT).withdrawn(),
    ],
    ids=["off", "not read", "nothing spent", "too old"],
)
def test_without_spending_by_model_not_even_a_heading_is_shown(state):
    assert "Spending by model" not in request(snapshot=Snapshot.of([state])).text


def test_an_account_that_fails_says_the_last_error_and_the_fix_with_flags_whole():
    error = failure(Reason.RATE_LIMITED, "429 from gw.example <b>")
    text = request(snapshot=Snapshot.of([a_read_state(an_api_key()).failed(error, NOW - 60)])).text

    assert texts(text, "p", **{"class": "state"}) == ["down: rate_limited"]
    assert texts(text, "q") == ["429 from gw.example <b>"]
    assert "<code>--collect.max-requests-per-minute</code>" in text


def test_with_an_accounts_file_the_fix_names_its_keys():
    state = a_read_state(an_api_key()).failed(failure(Reason.TIMEOUT), NOW - 60)
    page = StatusPage(
        read_snapshot=lambda: Snapshot.of([state]),
        clock=lambda: NOW,
        telemetry_path="/metrics",
        bound=Bound(),
        in_file=True,
    )

    assert "Fix: check the network, or lengthen collect.timeout." in page.render(Query()).decode()


def test_the_chosen_health_and_no_other_is_marked():
    text = request("/?health=ok").text

    assert re.findall(r'<a id="tally-(\w+)"[^>]*aria-current', text) == ["ok"]
    assert re.findall(r'<a id="tally-(\w+)"[^>]*aria-current', request().text) == ["all"]


def test_the_tally_says_how_many_of_how_many_match():
    snapshot = a_snapshot(an_api_key(), an_api_key(id=2, group="vip"))

    assert texts(request("/", snapshot=snapshot).text, "a", id="tally-all") == ["2 All"]
    assert texts(request("/?group=vip", snapshot=snapshot).text, "a", id="tally-all") == ["1 of 2"]


def test_heads_sort_and_turn_round_and_begin_with_the_first_page():
    def heads(path):
        text = request(path, snapshot=a_snapshot(an_api_key(group="vip"))).text
        return {name: html.unescape(link) for name, link in re.findall(r'<a id="sort-(\w+)" href="([^"]*)"', text)}

    assert heads("/?group=vip&page=3")["name"] == "?group=vip&sort=name"
    assert heads("/?group=vip&sort=name")["name"] == "?group=vip&sort=-name"
    assert heads("/?group=vip&sort=-name")["name"] == "?group=vip&sort=name"
    assert heads("/?group=vip&sort=name")["worst"] == heads("/?group=vip")["worst"] == "?group=vip"
    assert 'aria-sort="ascending"><a id="sort-worst"' in request().text
    assert 'aria-sort="descending"><a id="sort-name"' in request("/?sort=-name").text


def test_pages_lead_back_and_forth_above_and_below():
    snapshot = a_snapshot(*(an_api_key(id=number) for number in range(1, 1_002)))
    text = request("/?sort=id&page=3", snapshot=snapshot).text

    for where in ("above", "below"):
        assert f'<a id="back-{where}" rel="prev" href="?sort=id&amp;page=2">' in text
        assert f'<a id="forth-{where}" rel="next" href="?sort=id&amp;page=4">' in text
    assert texts(text, "nav", **{"aria-label": "Pages"})[0] == (
        "401\N{EN DASH}600 of 1,001 keys Previous 1 2 3 4 \N{HORIZONTAL ELLIPSIS} 6 Next"
    )


def test_there_is_no_page_before_the_first_and_none_after_the_last():
    snapshot = a_snapshot(*(an_api_key(id=number) for number in range(1, 602)))

    assert "back-above" not in request("/?sort=id", snapshot=snapshot).text
    assert "forth-above" not in request("/?sort=id&page=4", snapshot=snapshot).text


def test_the_json_link_asks_for_what_the_page_shows():
    assert '<a id="as-json" href="./api/v1/keys?q=key">' in request("/?q=key").text
    assert '<a id="as-json" href="./api/v1/keys">' in request("/").text


# What is sent.


def test_hostile_names_stay_text():
    state = a_read_state(an_api_key(name=HOSTILE, group=HOSTILE), name=HOSTILE)
    text = request(f"/?group={HOSTILE}&q={HOSTILE}&account={HOSTILE}", snapshot=Snapshot.of([state])).text

    assert "<img" not in text
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") >= 5


def test_the_page_lets_nothing_in_and_is_not_kept():
    headers = request().headers

    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_the_page_loads_nothing_from_elsewhere_and_its_links_stand_below_any_path():
    text = request().text
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text)

    assert {link.split("?")[0] for link in links if not link.startswith(("./-/static/", "?", "#"))} == {
        "./",
        "./metrics",
        "./api/v1/keys",
    }
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text)


def test_style_and_script_may_be_kept_for_ever_at_an_address_of_their_content():
    text = request().text
    addresses = re.findall(r'"\.(/-/static/[a-z]+-[0-9a-f]{16}\.(?:css|js|svg))"', text)
    answers = {address.rpartition(".")[2]: request(address) for address in addresses}

    assert {kind: answer.headers["content-type"] for kind, answer in answers.items()} == {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
    for answer in answers.values():
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["status.css", "..%2fpage.py", "%00", "status-0000000000000000.css"])
def test_another_static_address_is_404(name):
    assert request(f"/-/static/{name}").status_code == 404


STYLE = PAGE._static["status.css"][0]


@pytest.mark.parametrize("path", ["/", "/api/v1/keys", STYLE])
def test_head_says_what_get_would_and_nothing_else_is_allowed(path):
    head = request(path, method="HEAD")

    assert (head.status_code, head.headers["content-type"]) == (200, request(path).headers["content-type"])
    assert [request(path, method=method).status_code for method in ("POST", "PUT", "DELETE", "OPTIONS")] == [405] * 4


@pytest.mark.parametrize(
    "query",
    ["?page=%00&sort=%ff%fe&q=%ed%a0%80", "?" + "&" * 5000, "?q=" + "%F0%9F%94%91" * 2000, "?sort=;drop&&&=&==", "?%"],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/keys"])
def test_no_query_string_breaks_a_page(path, query):
    assert request(path + query).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/keys"])
def test_a_response_is_packed_for_those_who_accept_gzip(path):
    snapshot = a_snapshot(*(an_api_key(id=number) for number in range(50)))
    packed = request(path, snapshot=snapshot, **{"accept-encoding": "gzip"})
    plain = request(path, snapshot=snapshot, **{"accept-encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert "content-encoding" not in plain.headers
    assert plain.text == packed.text


@pytest.mark.parametrize(("path", "keys"), [("", 10_000), ("?limit=20000", 10_000), ("?page=2", 5), ("?limit=3", 3)])
def test_a_json_response_holds_ten_thousand_keys_at_most_and_the_rest_is_on_further_pages(path, keys):
    snapshot = a_snapshot(*(an_api_key(id=number) for number in range(10_005)))
    answer = request(f"/api/v1/keys{path}", snapshot=snapshot).json()

    assert (len(answer["keys"]), answer["matched"]) == (keys, 10_005)
