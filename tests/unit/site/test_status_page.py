"""What is sent: the page as it is written down, the JSON, style and script."""

import asyncio
import html
import re
from dataclasses import replace
from functools import cache

import httpx
import pytest
from domain import (
    A_LIST,
    DAY,
    NOW,
    a_balance,
    a_read_state,
    a_snapshot,
    a_state,
    a_subscription,
    an_api_key,
    failure,
    withdrawn,
)
from starlette.applications import Starlette

from exporter.changes import NO_CHANGES, Change, KeyChange
from exporter.endpoint import ApiPath, Unknown
from exporter.errors import Reason
from exporter.model import Spending, Usage
from exporter.policies import Policies, Policy
from exporter.site.api_endpoint import JsonApi
from exporter.site.concurrency import ConcurrencyLimiter
from exporter.site.status_page import StatusPage, static_files
from exporter.snapshot import Snapshot
from exporter.thresholds import Threshold

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


SHOWN = []
"""The snapshot that the pages show."""


@cache
def routes(*, in_file):
    limiter = ConcurrencyLimiter()
    page = StatusPage(
        read_snapshot=lambda: SHOWN[-1],
        clock=lambda: NOW,
        telemetry_path="/metrics",
        limiter=limiter,
        in_file=in_file,
    )
    api = JsonApi(read_snapshot=lambda: SHOWN[-1], clock=lambda: NOW, limiter=limiter)
    return [*page.routes(), *api.routes()]


def request(path="/", *states, method="GET", in_file=False, **headers):
    """Ask a status page over these accounts, else one with one key, without a socket."""
    SHOWN[:] = [Snapshot.of(states) if states else a_snapshot(an_api_key())]

    async def ask():
        transport = httpx.ASGITransport(Starlette(routes=routes(in_file=in_file)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


def with_keys(number):
    return a_read_state(*(an_api_key(id=number) for number in range(1, number + 1)))


def texts(markup, tag, **attributes):
    """Return the text of every element *tag* with these attributes, as people read it."""
    wanted = "".join(rf'[^>]*{name}="[^"]*{value}' for name, value in attributes.items())
    inner = re.findall(rf"<{tag}\b{wanted}[^>]*>(.*?)</{tag}>", markup, flags=re.DOTALL)
    return [html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split())) for text in inner]


def row(**facts):
    """Return the cells of a key's row."""
    text = request("/", a_read_state(an_api_key(**facts))).text
    body = text[text.index("<tbody>") :]
    return [*texts(body, "th"), *texts(body, "td")]


# A key.


def test_a_row_says_all_of_a_key():
    assert row(
        id=9,
        name="bot",
        group="vip",
        remaining_quota=1_500_000,
        used_quota=500_000,
        expires_at=NOW + 5 * 3_600,
        last_used_at=NOW - 90,
        model_limits=A_LIST,
        ip_allowlist=A_LIST,
        has_cross_group_retry=True,
    ) == [
        "bot #9 some models only, some addresses only, cross-group retry",
        "vip",
        "EXPIRES IN 5 h",
        "$3.00 75% of $4.00",
        "in 5 hours",
        "90 seconds ago",
    ]


def test_an_unlimited_key_has_no_bar_and_what_never_was_is_never():
    facts = {"remaining_quota": None, "last_used_at": None, "name": ""}

    assert row(**facts) == ["no name #1", "none", "OK", "unlimited $0.0020 used", "never", "never"]
    assert "<svg" not in request("/", a_read_state(an_api_key(**facts))).text


@pytest.mark.parametrize(
    ("facts", "health", "quota"),
    [
        ({"remaining_quota": 0}, "EXHAUSTED reported as enabled", "$0.00 0% of $1.00"),
        ({"remaining_quota": -1_250, "status": 4}, "EXHAUSTED", "overdrawn $0.0025 of $1.00"),
        ({"status": 2, "last_used_at": None}, "DISABLED, UNUSED", "$1.00 50% of $2.00"),
    ],
)
def test_quota_and_a_misleading_status_are_said_as_one_decides_by_them(facts, health, quota):
    assert row(used_quota=500_000, **facts)[2:4] == [health, quota]


def test_a_key_of_an_account_that_fails_says_how_old_what_is_known_of_it_is():
    state = a_read_state(an_api_key(), at=NOW - 600).failed(failure(Reason.TIMEOUT), NOW - 60)

    assert texts(request("/", state).text, "td", **{"class": "health"}) == [
        "OK · read 10 minutes ago"
    ]


def test_a_key_has_a_view_with_exact_times_and_queries_to_copy():
    key = an_api_key(id=9, expires_at=NOW + DAY, created_at=None, last_used_at=None)
    text = request("/?account=main&id=9", a_read_state(key, an_api_key(id=99))).text
    facts = dict(zip(texts(text, "dt"), texts(text, "dd"), strict=True))

    assert facts["Health"] == (
        "Warning: expires within 7 days, or under 10% of the quota left, or possibly dry: it rests "
        "with less than a typical request costs"
    )
    assert facts["Reported status"] == "enabled (1)"
    assert (facts["Created"], facts["Last used"]) == ("unknown", "never")
    assert facts["Expires"] == "2025-06-16 15:06:40 UTC, in 24 hours"
    assert (facts["Left"], facts["Used"]) == ("500,000 units ($1.00)", "1,000 units ($0.0020)")
    assert texts(text, "code") == [
        '{account="main",key_id="9"}',
        'delta(cometapi_key_used_quota{account="main",key_id="9"}[1h])',
    ]


def places(markup, *ids):
    """Return these ids in the order in which the page has them."""
    return sorted(ids, key=lambda each: markup.index(f'id="{each}"'))


def test_the_page_of_a_key_begins_with_it_followed_by_its_account_alone():
    key = an_api_key(id=9, group="vip")
    accounts = a_read_state(key, name="main"), a_read_state(an_api_key(id=10), name="other")
    text = request("/?account=main&id=9", *accounts).text

    assert places(text, "accounts", "filter", "listing") == ["listing", "accounts", "filter"]
    assert texts(text, "h3") == ["main"]
    assert '<a id="all-keys" href="./">All keys</a>' in text
    assert 'href="?account=main&amp;group=vip"' in text
    assert 'href="?account=main"' in text


def test_the_list_comes_behind_the_accounts_and_the_filters():
    text = request("/", with_keys(2)).text

    assert places(text, "accounts", "filter", "listing") == ["accounts", "filter", "listing"]


@pytest.mark.parametrize(
    ("path", "accounts"),
    [("/?account=other&id=77", ["other"]), ("/?id=77", ["main", "other"])],
)
def test_the_page_of_a_key_that_is_gone_keeps_the_account_that_was_asked_for(path, accounts):
    states = a_read_state(an_api_key(), name="main"), a_read_state(an_api_key(), name="other")

    assert texts(request(path, *states).text, "h3") == accounts


def test_the_name_of_a_key_leads_to_its_view():
    assert (
        'href="?account=a%26b&amp;id=9"'
        in request("/", a_read_state(an_api_key(id=9), name="a&b")).text
    )


# An account.


def test_an_endpoint_that_fails_has_a_row_with_its_age_cause_and_advice():
    state = a_read_state(an_api_key(), balance=a_balance())
    state = state.endpoint_failed(ApiPath.BALANCE, failure(Reason.BLOCKED), NOW - 600)
    never = replace(state, endpoints=replace(state.endpoints, groups=Unknown()))
    never = never.endpoint_failed(ApiPath.GROUPS, failure(Reason.TIMEOUT), NOW - 60)
    rows = texts(request("/", never).text, "p", **{"class": "trouble endpoint"})

    assert [row.split(" Fix: ")[0] for row in rows] == [
        (
            "The balance (/api/user/self) cannot be read, the last known value is shown: "
            "blocked for 10 minutes, "
            "since 2025-06-15 14:56:40 UTC. it went wrong"
        ),
        (
            "The list of groups (/api/user/self/groups) cannot be read and is unknown: "
            "timeout for 60 seconds, "
            "since 2025-06-15 15:05:40 UTC. it went wrong"
        ),
    ]


def test_what_is_unknown_is_not_shown_as_none():
    state = a_read_state(an_api_key())
    unknown = replace(state.endpoints, balance=Unknown(), subscriptions=Unknown())
    found = texts(request("/", replace(state, endpoints=unknown)).text, "dd")

    assert found[0] == "unknown subscriptions: unknown"


def with_subscriptions(remaining):
    return a_read_state(subscriptions=a_subscription(remaining))


def test_an_account_says_its_gateway_money_age_and_next_refresh():
    state = a_read_state(an_api_key(), an_api_key(id=2, status=2), at=NOW - 8, balance=a_balance())
    text = request("/", replace(state, gateway="https://gw.example", next_refresh_at=NOW + 52)).text

    assert texts(text, "div", **{"class": "who"}) == ["main up https://gw.example"]
    assert texts(text, "dd")[:4] == [
        "$50.00 $20.05 used, 339 requests",
        "1 of 2",
        "8 seconds ago",
        "in 52 seconds",
    ]


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        (a_state(), ["no data", "no data", "no data yet", "in progress"]),
        (
            replace(a_read_state(), next_refresh_at=NOW),
            ["not offered", "0 of 0", "0 seconds ago", "in progress"],
        ),
        (
            a_read_state(subscriptions=a_subscription(500_000)),
            ["subscriptions: $1.00 left"],
        ),
        (
            a_read_state(subscriptions=a_subscription(None)),
            ["subscriptions: no limit"],
        ),
    ],
)
def test_an_account_says_what_is_not_known_yet_and_what_its_subscriptions_have_left(state, facts):
    found = texts(request("/", state).text, "dd")[: len(facts)]

    assert [text.removeprefix("not offered ") for text in found] == facts


def test_an_account_that_fails_says_the_last_error_and_the_fix_with_flags_or_keys_whole():
    error = failure(Reason.RATE_LIMITED, "429 from gw.example <b>")
    state = a_read_state(an_api_key()).failed(error, NOW - 60)
    text = request("/", state).text

    assert texts(text, "p", **{"class": "state"}) == ["failing: rate_limited"]
    assert texts(text, "q") == ["429 from gw.example <b>"]
    assert "<code>--collect.max-requests-per-minute</code>" in text
    assert "collect.max_requests_per_minute" in request("/", state, in_file=True).text


def test_what_models_cost_is_said_in_dollars_of_the_account():
    spending = Spending(
        read_at=NOW - 600, models=((HOSTILE, 500_000, 4_000_000), ("other models", 0, 1_000_000))
    )
    text = request(
        "/",
        a_read_state(configured_units_per_usd=1_000_000.0, usage=Usage(spending=spending)),
    ).text
    section = text[text.index('<div class="models">') : text.index("</main>")]

    assert texts(section, "h4") == [
        "Spending by model this month and today UTC, read 10 minutes ago"
    ]
    assert texts(section, "dt") == [HOSTILE, "other models"]
    assert texts(section, "dd") == ["$4.00 $0.50 today", "$1.00 $0.00 today"]
    assert "<img" not in text


@pytest.mark.parametrize(
    ("spent", "budget", "said"),
    [
        (12_300_000, 50.0, ["$12.30 of $50.00 (24%)"]),
        (60_000_000, 50.0, ["$60.00 of $50.00 (120%)"]),
        (0, None, ["$0.00"]),
        (None, 50.0, ["unknown, of a budget of $50.00"]),
        (None, None, []),
    ],
)
def test_the_month_of_an_account_and_of_a_key_is_said_with_its_budget(spent, budget, said):
    spending = None
    if spent is not None:
        spending = Spending(read_at=NOW, models=(("m", 0, spent),), month_by_key={7: spent})
    state = a_read_state(
        an_api_key(id=7),
        configured_units_per_usd=1_000_000.0,
        usage=Usage(spending=spending),
        monthly_budget_usd=budget,
        thresholds=[Threshold(monthly_budget_usd=budget)],
    )
    text = request("/?account=main&id=7", state).text

    # Of the account, and of the key.
    assert re.findall(r"<dt>This month \(UTC\)</dt><dd>(.+?)</dd>", text) == said * 2


SPENT = Usage(spending=Spending(read_at=NOW, models=(("m", 1, 2),)))


@pytest.mark.parametrize(
    "state",
    [
        a_read_state(),
        a_read_state(usage=Usage()),
        a_read_state(usage=Usage(spending=Spending(read_at=NOW, models=()))),
        withdrawn(a_read_state(usage=SPENT)),
    ],
    ids=["off", "not read", "nothing spent", "too old"],
)
def test_without_spending_by_model_not_even_a_heading_is_shown(state):
    assert "Spending by model" not in request("/", state).text


# The list.


@pytest.mark.parametrize(
    ("path", "chosen", "tally"),
    [("/", "all", "2 All"), ("/?health=ok", "ok", "2 All"), ("/?group=vip", "all", "1 of 2")],
)
def test_the_tally_marks_the_chosen_health_and_says_how_many_match(path, chosen, tally):
    text = request(path, a_read_state(an_api_key(), an_api_key(id=2, group="vip"))).text

    assert re.findall(r'<a id="tally-(\w+)"[^>]*aria-current', text) == [chosen]
    assert texts(text, "a", id="tally-all") == [tally]


def test_heads_sort_and_turn_round_and_begin_with_the_first_page():
    def heads(path):
        text = request(path, a_read_state(an_api_key(group="vip"))).text
        return {
            name: html.unescape(link)
            for name, link in re.findall(r'<a id="sort-(\w+)" href="([^"]*)"', text)
        }

    assert heads("/?group=vip&page=3")["name"] == "?group=vip&sort=name"
    assert heads("/?group=vip&sort=name")["name"] == "?group=vip&sort=-name"
    assert heads("/?group=vip&sort=-name")["name"] == "?group=vip&sort=name"
    assert heads("/?group=vip&sort=name")["worst"] == heads("/?group=vip")["worst"] == "?group=vip"
    assert 'aria-sort="ascending"><a id="sort-worst"' in request().text
    assert 'aria-sort="descending"><a id="sort-name"' in request("/?sort=-name").text


@pytest.mark.parametrize(
    ("path", "keys", "words"),
    [
        ("/?sort=id", 200, "200 keys"),
        ("/?sort=id", 1_001, "1\N{EN DASH}200 of 1,001 keys 1 2 \N{HORIZONTAL ELLIPSIS} 6 Next"),
        (
            "/?sort=id&page=3",
            1_001,
            "401\N{EN DASH}600 of 1,001 keys Previous 1 2 3 4 \N{HORIZONTAL ELLIPSIS} 6 Next",
        ),
        ("/?sort=id&page=99", 401, "401\N{EN DASH}401 of 401 keys Previous 1 2 3"),
    ],
)
def test_pages_lead_back_and_forth_above_and_below(path, keys, words):
    text = request(path, with_keys(keys)).text

    assert texts(text, "nav", **{"aria-label": "Pages"}) == [words] * (2 if keys > 200 else 1)
    for where in ("above", "below"):
        assert (f'<a id="back-{where}" rel="prev" href="?sort=id' in text) is ("Previous" in words)
        assert (f'<a id="forth-{where}" rel="next" href="?sort=id&amp;page=' in text) is (
            "Next" in words
        )


def test_the_json_link_asks_for_what_the_page_shows():
    assert '<a id="as-json" href="./api/v1/keys?q=key">' in request("/?q=key").text
    assert '<a id="as-json" href="./api/v1/keys">' in request("/").text


# What is sent.


def test_hostile_names_stay_text():
    state = a_read_state(an_api_key(name=HOSTILE, group=HOSTILE), name=HOSTILE)
    text = request(f"/?group={HOSTILE}&q={HOSTILE}&account={HOSTILE}", state).text

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
    links = {link.split("?")[0] for link in re.findall(r'(?:href|src|action)="([^"#]*)"', text)}

    assert {link for link in links if link and not link.startswith("./-/static/")} == {
        "./",
        "./metrics",
        "./api/v1/changes",
        "./api/v1/keys",
    }
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text)


def test_style_and_script_may_be_kept_for_ever_at_an_address_of_their_content():
    addresses = re.findall(r'"\.(/-/static/[a-z]+-[0-9a-f]{16}\.(?:css|js|svg))"', request().text)
    answers = {address.rpartition(".")[2]: request(address) for address in addresses}

    assert {kind: answer.headers["content-type"] for kind, answer in answers.items()} == {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
    for answer in answers.values():
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["status.css", "..%2fpage.py", "%00", "status-0000000000000000.css"]
)
def test_another_static_address_is_404(name):
    assert request(f"/-/static/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/api/v1/keys", static_files()["status.css"][0]])
def test_head_says_what_get_would_and_nothing_else_is_allowed(path):
    head = request(path, method="HEAD")

    assert (head.status_code, head.headers["content-type"]) == (
        200,
        request(path).headers["content-type"],
    )
    assert [
        request(path, method=method).status_code for method in ("POST", "PUT", "DELETE", "OPTIONS")
    ] == [405] * 4


@pytest.mark.parametrize(
    "query",
    [
        "?page=%00&sort=%ff%fe&q=%ed%a0%80",
        "?" + "&" * 5000,
        "?q=" + "%F0%9F%94%91" * 2000,
        "?sort=;drop&&&=&==",
        "?%",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/keys"])
def test_no_query_string_breaks_a_page(path, query):
    assert request(path + query).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/keys"])
def test_a_response_is_packed_for_those_who_accept_gzip(path):
    packed, plain = (
        request(path, with_keys(50), **{"accept-encoding": kind}) for kind in ("gzip", "identity")
    )

    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert "content-encoding" not in plain.headers
    assert plain.text == packed.text


@pytest.mark.parametrize(
    ("path", "keys"), [("", 10_000), ("?limit=20000", 10_000), ("?page=2", 5), ("?limit=3", 3)]
)
def test_a_json_response_holds_ten_thousand_keys_at_most_and_the_rest_is_on_further_pages(
    path, keys
):
    answer = request(f"/api/v1/keys{path}", with_keys(10_005)).json()

    assert (len(answer["keys"]), answer["matched"]) == (keys, 10_005)


# 2025-06-15 15:06:40 UTC is NOW: the day began 15 hours before.
DAY_BEGAN = NOW - (15 * 3600 + 6 * 60 + 40)


def a_changed_state(*times, name="main", key_name="bot"):
    changes = [
        KeyChange(
            time=time, key_id=7, key_name=key_name, change=Change.RENAMED, before="a", after="b"
        )
        for time in times
    ]
    state = a_read_state(an_api_key(id=7), an_api_key(id=8), name=name)
    return replace(state, changes=NO_CHANGES.plus(changes))


def changes_of(response):
    section = response.text.split('<section id="changes"')[1].split("</section>")[0]
    return section.count("<li>"), "hidden" in section.split(">")[0], section


def test_what_was_changed_since_midnight_is_on_the_overview():
    response = request("/", a_changed_state(DAY_BEGAN - 1, DAY_BEGAN, NOW - 60))
    count, is_hidden, section = changes_of(response)

    assert (count, is_hidden) == (2, False)
    assert "2 changes" in section
    assert "renamed: a \N{RIGHTWARDS ARROW} b" in section
    assert 'href="?account=main&amp;id=7"' in section


def test_of_many_changes_the_last_ten_are_shown_and_all_are_counted():
    count, _, section = changes_of(request("/", a_changed_state(*range(NOW - 30, NOW))))

    assert count == 10
    assert "30 changes" in section


def test_the_changes_of_a_chosen_account_lead_to_their_json():
    states = [a_changed_state(NOW), a_changed_state(NOW, name="other")]
    _, _, section = changes_of(request("/?account=other", *states))

    assert 'href="./api/v1/changes?account=other"' in section


@pytest.mark.parametrize(
    ("path", "states"),
    [
        ("/", [a_changed_state(DAY_BEGAN - 1)]),
        ("/", [a_changed_state()]),
        ("/?id=7", [a_changed_state(NOW)]),
        ("/?account=other", [a_changed_state(NOW), a_changed_state(name="other")]),
    ],
    ids=["yesterday", "nothing", "the page of a key", "another account"],
)
def test_without_changes_today_nothing_is_said(path, states):
    count, is_hidden, _ = changes_of(request(path, *states))

    assert (count, is_hidden) == (0, True)


def test_the_page_of_a_key_has_its_own_changes():
    state = a_changed_state(NOW - 9 * 86_400, NOW - 60)

    assert request("/?account=main&id=7", state).text.count("renamed: a") == 2
    assert request("/?account=main&id=8", state).text.count("renamed: a") == 0


def test_the_name_of_a_changed_key_stays_text():
    assert (
        "<script>alert" not in request("/", a_changed_state(NOW, key_name="<script>alert(1)")).text
    )


def test_a_key_that_breaks_policies_is_marked_and_can_be_filtered():
    policies = Policies([Policy(ip_allowlist=True, model_limits=True)])
    state = a_read_state(an_api_key(), policies=policies)
    text = request("/?policy=model_limits", state).text

    assert texts(text, "small", **{"class": "policies"}) == ["breaks ip_allowlist, model_limits"]
    assert texts(text, "select", id="by-policy") == ["all any ip_allowlist model_limits"]
    assert "<option selected>model_limits</option>" in text


def test_without_policies_the_page_does_not_speak_of_them():
    text = request("/", with_keys(1)).text

    assert "by-policy" not in text
    assert 'class="policies"' not in text
