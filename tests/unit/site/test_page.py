"""What the status page says: which keys, in which order, in which words."""

import asyncio
import re
import time
from dataclasses import replace

import httpx
import pytest
from domain import DAY, NOW, a_balance, a_read_state, a_snapshot, a_state, an_api_key, failure

from exporter.errors import FIXES, Reason
from exporter.model import Obstacle
from exporter.site.bound import Bound
from exporter.site.choose import choose
from exporter.site.page import PAGE_ROWS, lay_out
from exporter.site.query import NO_GROUP, Query
from exporter.site.status import StatusPage
from exporter.site.verdict import Health, judge, share_left
from exporter.site.words import count, duration, moment, money, utc
from exporter.snapshot import Snapshot

HOUR = 3_600
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


# Words.


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (0, "$0.00"),
        (1.5, "$1.50"),
        (1234.567, "$1,234.57"),
        (0.0025, "$0.0025"),
        (-0.0025, "\N{MINUS SIGN}$0.0025"),
        (0.000002, "<$0.0001"),
        (-12, "\N{MINUS SIGN}$12.00"),
        (1_234_000, "$1.23M"),
        (2.5e9, "$2.50B"),
        (1.8e13, "$18.00T"),
    ],
)
def test_money_is_short_and_never_rounded_to_nothing(usd, words):
    assert money(usd) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 seconds"),
        (0.9, "0 seconds"),
        (1, "1 second"),
        (119.9, "119 seconds"),
        (120, "2 minutes"),
        (5 * HOUR - 1, "4 hours"),
        (36 * HOUR, "36 hours"),
        (48 * HOUR, "2 days"),
        (45 * DAY, "45 days"),
        (100 * DAY, "3 months"),
        (800 * DAY, "2 years"),
    ],
)
def test_a_duration_is_one_unit_rounded_down(seconds, words):
    assert duration(seconds) == words


def test_a_moment_lies_ahead_or_behind():
    assert (moment(NOW + 120, NOW), moment(NOW - 120, NOW), moment(NOW, NOW)) == (
        "in 2 minutes",
        "2 minutes ago",
        "0 seconds ago",
    )


def test_a_time_no_calendar_holds_is_its_number():
    assert (utc(NOW), utc(2**62), utc(-1)) == ("2025-06-15 15:06:40 UTC", "4611686018427387904", "-1")


def test_one_is_counted_without_an_s():
    assert (count(0, "key"), count(1, "key"), count(1200, "key")) == ("0 keys", "1 key", "1,200 keys")


# Verdicts.


@pytest.mark.parametrize(
    ("facts", "health", "obstacle"),
    [
        ({}, Health.OK, None),
        ({"expires_at": NOW - 1}, Health.DEAD, Obstacle.EXPIRED),
        ({"remaining_quota": 0}, Health.DEAD, Obstacle.EXHAUSTED),
        ({"remaining_quota": -5}, Health.DEAD, Obstacle.EXHAUSTED),
        ({"status": 2}, Health.DISABLED, Obstacle.DISABLED),
        ({"status": 3}, Health.ENDED, Obstacle.EXPIRED),
        ({"status": 4}, Health.ENDED, Obstacle.EXHAUSTED),
        ({"status": 9}, Health.ENDED, Obstacle.UNKNOWN_STATUS),
        ({"expires_at": NOW + DAY - 1}, Health.CRITICAL, None),
        ({"expires_at": NOW + DAY}, Health.WARNING, None),
        ({"expires_at": NOW + 7 * DAY - 1}, Health.WARNING, None),
        ({"expires_at": NOW + 7 * DAY}, Health.OK, None),
        ({"remaining_quota": 19, "used_quota": 981}, Health.CRITICAL, None),
        ({"remaining_quota": 20, "used_quota": 980}, Health.WARNING, None),
        ({"remaining_quota": 99, "used_quota": 901}, Health.WARNING, None),
        ({"remaining_quota": 100, "used_quota": 900}, Health.OK, None),
        ({"remaining_quota": None, "used_quota": 900}, Health.OK, None),
        ({"remaining_quota": 5, "used_quota": -5}, Health.OK, None),
    ],
)
def test_a_key_is_judged_by_expiry_and_quota_whatever_its_status_says(facts, health, obstacle):
    key = an_api_key(**facts)
    verdict = judge(key, NOW)

    assert (verdict.health, verdict.obstacle) == (health, obstacle)
    assert (key.obstacle(NOW) is None) == key.is_usable(NOW)


@pytest.mark.parametrize(
    ("left", "used", "share"), [(None, 5, None), (0, 0, 0.0), (-5, 10, 0.0), (25, 75, 0.25), (10, -3, 1.0)]
)
def test_the_share_left_is_a_part_of_all_the_quota_there_ever_was(left, used, share):
    assert share_left(an_api_key(remaining_quota=left, used_quota=used)) == share


# Queries.


def test_a_query_is_read_and_written_back():
    pairs = [("account", "a&b"), ("group", "(none)"), ("status", "enabled"), ("health", "dead"), ("q", " x y ")]
    query = Query.read([*pairs, ("sort", "-name"), ("page", "3")])

    assert query.query_string() == (
        "?account=a%26b&group=%28none%29&status=enabled&health=dead&q=x+y&sort=-name&page=3"
    )
    assert Query().query_string() == ""


@pytest.mark.parametrize(
    "pairs",
    [
        [("status", "banana"), ("health", "DEAD"), ("sort", "--name"), ("sort", "-worst"), ("page", "-1")],
        [("page", "0"), ("limit", "1e9"), ("page", "٣"), ("sort", "__class__")],
        [("", ""), ("page", ""), ("q", "   "), ("unknown", "x" * 9999)],
    ],
)
def test_what_a_query_cannot_mean_is_ignored(pairs):
    assert Query.read(pairs) == Query()


def test_what_a_query_has_too_much_of_is_cut():
    query = Query.read([("q", "x" * 5000), ("group", "g" * 5000), ("page", "9" * 5000), ("limit", "9" * 50)])

    assert (len(query.search), len(query.group), query.page, query.limit) == (100, 200, 1_000_000, 1_000_000)


def test_sorting_by_the_same_column_again_turns_it_round():
    once = Query(page=4).sorted_by("name")

    assert (once.order, once.page, once.sorted_by("name").order, once.sorted_by("name").sorted_by("name").order) == (
        "name",
        1,
        "-name",
        "name",
    )


# Choices.


def chosen(snapshot, **asked):
    return [entry.key.id for entry in choose(snapshot, Query(**asked), NOW).entries]


@pytest.fixture
def mixed():
    """One account with one key of every kind."""
    return a_snapshot(
        an_api_key(id=1, name="fine", group="vip"),
        an_api_key(id=2, name="off", status=2),
        an_api_key(id=3, name="ended", status=4, remaining_quota=0),
        an_api_key(id=4, name="soon", expires_at=NOW + 3 * DAY, group="vip"),
        an_api_key(id=5, name="Now", expires_at=NOW + HOUR),
        an_api_key(id=6, name="low", remaining_quota=1, used_quota=999),
        an_api_key(id=7, name="dead long", remaining_quota=0, last_used_at=NOW - 90 * DAY),
        an_api_key(id=8, name="dead lately", expires_at=NOW - HOUR, last_used_at=NOW - HOUR, group="vip"),
    )


def test_the_worst_come_first(mixed):
    assert chosen(mixed) == [8, 7, 5, 6, 4, 3, 1, 2]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"sort": "name"}, [8, 7, 3, 1, 6, 5, 2, 4]),
        ({"sort": "id"}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"sort": "id", "descending": True}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"sort": "expires"}, [8, 5, 4, 7, 6, 3, 2, 1]),
        ({"sort": "expires", "descending": True}, [4, 5, 8, 7, 6, 3, 2, 1]),
        ({"sort": "status"}, [2, 8, 7, 6, 5, 4, 1, 3]),
        ({"group": "vip"}, [8, 4, 1]),
        ({"group": NO_GROUP}, [7, 5, 6, 3, 2]),
        ({"group": "nobody"}, []),
        ({"status": "disabled"}, [2]),
        ({"status": "exhausted"}, [3]),
        ({"health": "dead"}, [8, 7]),
        ({"search": "DEAD"}, [8, 7]),
        ({"search": "dead lately"}, [8]),
        ({"search": "lately dead"}, [8]),
        ({"search": "vip soon"}, [4]),
        ({"search": "dead soon"}, []),
        ({"account": "main", "health": "ok"}, [1]),
        ({"account": "other"}, []),
    ],
)
def test_a_query_narrows_and_sorts(mixed, asked, ids):
    assert chosen(mixed, **asked) == ids


def test_the_tally_counts_what_matches_but_for_the_asked_health(mixed):
    choice = choose(mixed, Query(group="vip", health="dead"), NOW)

    assert {health.value: number for health, number in choice.tally.items()} == {
        "dead": 1,
        "critical": 0,
        "warning": 1,
        "ended": 0,
        "ok": 1,
        "disabled": 0,
    }
    assert (choice.matched, choice.total) == (1, 8)


@pytest.mark.parametrize(
    ("page", "ids"), [(1, [1, 2, 3]), (2, [4, 5, 6]), (3, [7, 8]), (4, [7, 8]), (1_000_000, [7, 8])]
)
def test_a_page_past_the_last_is_the_last(mixed, page, ids):
    assert chosen(mixed, sort="id", limit=3, page=page) == ids


@pytest.mark.parametrize("sort", ["worst", "name", "expires", "remaining", "last_used"])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_together_are_the_whole_list_in_order(sort, descending):
    snapshot = a_snapshot(
        *(
            an_api_key(
                id=number,
                name=f"n{number % 7}",
                expires_at=NOW + number * DAY if number % 3 else None,
                remaining_quota=number * 100 if number % 5 else None,
                last_used_at=None if number % 4 else NOW - number,
            )
            for number in range(1, 101)
        )
    )
    asked = {"sort": sort, "descending": descending}
    pages = [chosen(snapshot, **asked, limit=9, page=page) for page in range(1, 13)]

    assert [key_id for page in pages for key_id in page] == chosen(snapshot, **asked)
    assert sorted(chosen(snapshot, **asked)) == list(range(1, 101))


def test_money_is_compared_across_accounts_with_different_units():
    snapshot = Snapshot.of(
        [
            a_read_state(an_api_key(id=1, remaining_quota=500_000), name="a", configured_units_per_usd=500_000.0),
            a_read_state(an_api_key(id=2, remaining_quota=50), name="b", configured_units_per_usd=10.0),
        ]
    )

    assert chosen(snapshot, sort="remaining") == [1, 2]


def test_ten_thousand_keys_are_chosen_from_quickly():
    snapshot = a_snapshot(*(an_api_key(id=number, used_quota=number * 37 % 9973) for number in range(10_000)))
    started = time.process_time()
    page = lay_out(snapshot, Query(search="key"), NOW)

    assert time.process_time() - started < 1
    assert len(page.rows) == PAGE_ROWS
    assert page.shown == "1 to 200 of 10,000; 9,800 on other pages"
    assert (page.back, page.forth) == ("", "?q=key&page=2")


# The page.


def account_of(state, now=NOW):
    return lay_out(Snapshot.of([state]), Query(), now).accounts[0]


def test_an_account_that_is_well_says_its_money_its_age_and_its_next_refresh():
    state = a_read_state(an_api_key(), an_api_key(id=2, status=2), at=NOW - 8, balance=a_balance())
    view = account_of(replace(state, next_refresh_at=NOW + 52))

    assert (view.state, view.reason, view.trouble) == ("up", "", "")
    assert (view.balance, view.spent) == ("$50.00", "$20.05 used, 339 requests")
    assert (view.usable, view.age, view.next_refresh) == ("1 of 2", "8 seconds ago", "in 52 seconds")


def test_an_account_before_its_first_refresh_says_so():
    page = lay_out(Snapshot.of([a_state()]), Query(), NOW)

    assert (page.accounts[0].state, page.accounts[0].next_refresh) == ("starting", "first refresh under way")
    assert (page.accounts[0].balance, page.accounts[0].usable) == ("no data", "no data")
    assert page.nothing == "The first refresh is under way: the keys appear when it ends."


def test_an_account_that_fails_says_why_since_when_and_what_to_do():
    state = a_read_state(an_api_key(), at=NOW - 900).failed(failure(Reason.RATE_LIMITED), NOW - 600)
    snapshot = Snapshot.of([state.failed(failure(Reason.RATE_LIMITED), NOW - 300)])
    page = lay_out(snapshot, Query(), NOW)
    view = page.accounts[0]

    assert (view.state, view.reason, view.advice) == ("down", "rate_limited", FIXES[Reason.RATE_LIMITED])
    assert view.trouble == "for 10 minutes, since 2025-06-15 14:56:40 UTC; what was read last is shown"
    assert [row.id for row in page.rows] == [1]
    assert page.title == "1 account down · cometapi-exporter"


def test_data_past_stale_after_is_withdrawn_as_from_the_metrics():
    state = a_read_state(an_api_key(), at=NOW - 3600, balance=a_balance()).failed(failure(Reason.TIMEOUT), NOW - 3000)
    page = lay_out(Snapshot.of([state.withdrawn()]), Query(), NOW)

    assert page.rows == []
    assert page.nothing == "There is no data to show: see the accounts above."
    assert (page.accounts[0].balance, page.accounts[0].usable) == ("no data", "no data")
    assert page.accounts[0].trouble.endswith("; the data is older than 60 minutes and withdrawn")


def test_an_account_that_refuses_its_balance_says_so():
    assert account_of(a_read_state(an_api_key())).balance == "not told"


def test_failing_accounts_come_first():
    well, ill = a_read_state(name="well"), a_state(name="ill").failed(failure(Reason.TIMEOUT), NOW)
    page = lay_out(Snapshot.of([well, ill]), Query(), NOW)

    assert [account.name for account in page.accounts] == ["ill", "well"]


def rows_of(*keys, **asked):
    return lay_out(a_snapshot(*keys), Query(**asked), NOW).rows


def test_a_row_says_all_of_a_key():
    (row,) = rows_of(
        an_api_key(
            id=9,
            name="bot",
            group="vip",
            remaining_quota=1_500_000,
            used_quota=500_000,
            expires_at=NOW + 5 * HOUR,
            last_used_at=NOW - 90,
            has_model_limits=True,
            has_cross_group_retry=True,
        )
    )

    assert (row.id, row.name, row.account, row.group, row.status) == (9, "bot", "main", "vip", "enabled")
    assert (row.left, row.used, row.share, row.share_mark) == ("$3.00 left", "$1.00 used", 75.0, "")
    assert (row.usable, row.expires, row.expires_mark) == ("yes", "in 5 hours", "critical")
    assert (row.expires_at, row.last_used) == ("2025-06-15 20:06:40 UTC", "90 seconds ago")
    assert row.limits == "some models only, tries other groups"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"status": 2}, "no: switched off"),
        ({"status": 3}, "no: expired"),
        ({"status": 3, "expires_at": NOW - 40 * DAY}, "no: expired 40 days ago"),
        ({"status": 4}, "no: quota used up"),
        ({"status": 7}, "no: unknown status 7"),
        ({"expires_at": NOW - 2 * DAY}, "no: expired 2 days ago"),
        ({"remaining_quota": 0}, "no: quota used up"),
    ],
)
def test_a_row_says_why_a_key_is_not_usable(facts, words):
    (row,) = rows_of(an_api_key(**facts))

    assert row.usable == words
    assert row.share_mark == "idle"


def test_an_unlimited_key_has_no_bar_and_a_key_for_ever_no_expiry():
    (row,) = rows_of(an_api_key(remaining_quota=None, last_used_at=None))

    assert (row.left, row.share, row.expires, row.last_used) == ("unlimited", None, "never", "never")


def test_the_page_says_how_many_are_filtered_out(mixed):
    page = lay_out(mixed, Query(group="vip"), NOW)

    assert page.shown == "3 of 8 keys"
    assert page.title == "1 dead · cometapi-exporter"
    assert [value for value, _ in page.groups] == ["(none)", "vip"]


def test_a_filter_for_what_is_gone_stays_chosen(mixed):
    page = lay_out(mixed, Query(group="gone", account="left"), NOW)

    assert page.nothing == "No key matches."
    assert ("gone", "gone") in page.groups
    assert list(page.account_names) == ["main", "left"]


def test_one_account_needs_no_column_of_its_own():
    two = Snapshot.of([a_read_state(name="a"), a_read_state(name="b")])

    assert "account" not in [column.key for column in lay_out(a_snapshot(), Query(), NOW).columns]
    assert "account" in [column.key for column in lay_out(two, Query(), NOW).columns]


def test_links_keep_the_filter_and_begin_with_the_first_page(mixed):
    page = lay_out(mixed, Query(group="vip", sort="name"), NOW)
    links = {column.key: column.link for column in page.columns}

    assert links["name"] == "?group=vip&sort=-name"
    assert links["expires"] == "?group=vip&sort=expires"
    assert links["worst"] == "?group=vip"
    assert {tally.health: tally.link for tally in page.tallies}["dead"] == "?group=vip&health=dead&sort=name"
    assert [column.direction for column in page.columns if column.key == "name"] == ["ascending"]


@pytest.mark.parametrize(("interval", "seconds"), [(0.5, 5), (30.0, 30), (900.0, 60)])
def test_the_page_refreshes_with_the_refreshes_within_bounds(interval, seconds):
    assert lay_out(a_snapshot(interval_seconds=interval), Query(), NOW).refresh_seconds == seconds


# What is sent.


def visit(path="/", *, snapshot=None, method="GET", **headers):
    """Ask a status page over *snapshot*, without a socket."""
    snapshot = snapshot or a_snapshot(an_api_key())

    async def ask():
        from starlette.applications import Starlette  # noqa: PLC0415 - only here

        page = StatusPage(read_snapshot=lambda: snapshot, clock=lambda: NOW, telemetry_path="/metrics", bound=Bound())
        transport = httpx.ASGITransport(Starlette(routes=page.routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


def test_hostile_names_stay_text():
    state = a_read_state(an_api_key(name=HOSTILE, group=HOSTILE), name=HOSTILE)
    text = visit(f"/?group={HOSTILE}&q={HOSTILE}&account={HOSTILE}", snapshot=Snapshot.of([state])).text

    assert "<img" not in text
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") >= 5


def test_the_page_lets_nothing_in_and_is_not_kept():
    headers = visit().headers

    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_the_page_loads_nothing_from_elsewhere_and_its_links_stand_below_any_path():
    text = visit().text
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text)

    assert {link.split("?")[0] for link in links if not link.startswith(("./-/static/", "?", "#"))} == {
        "./",
        "./metrics",
        "./api/v1/keys",
        "./-/healthy",
        "./-/ready",
    }
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text)


def test_style_and_script_may_be_kept_for_ever_at_an_address_of_their_content():
    text = visit().text
    addresses = re.findall(r'"\.(/-/static/[a-z]+-[0-9a-f]{16}\.(?:css|js|svg))"', text)
    answers = {address.rpartition(".")[2]: visit(address) for address in addresses}

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
    assert visit(f"/-/static/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/api/v1/keys"])
def test_head_says_what_get_would_and_nothing_else_is_allowed(path):
    head = visit(path, method="HEAD")

    assert (head.status_code, head.headers["content-type"]) == (200, visit(path).headers["content-type"])
    assert [visit(path, method=method).status_code for method in ("POST", "PUT", "DELETE", "OPTIONS")] == [405] * 4


@pytest.mark.parametrize(
    "query",
    ["?page=%00&sort=%ff%fe&q=%ed%a0%80", "?" + "&" * 5000, "?q=" + "%F0%9F%94%91" * 2000, "?sort=;drop&&&=&==", "?%"],
)
@pytest.mark.parametrize("path", ["/", "/api/v1/keys"])
def test_no_query_string_breaks_a_page(path, query):
    assert visit(path + query).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/keys"])
def test_an_answer_is_packed_for_who_takes_it_packed(path):
    snapshot = a_snapshot(*(an_api_key(id=number) for number in range(50)))
    packed = visit(path, snapshot=snapshot, **{"accept-encoding": "gzip"})
    plain = visit(path, snapshot=snapshot, **{"accept-encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert "content-encoding" not in plain.headers
    assert plain.text == packed.text
