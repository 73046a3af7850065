"""Which keys are shown, and in which order."""

import pytest
from domain import A_LIST, DAY, NOW, a_read_state, a_snapshot, an_api_key

from exporter.policies import Policies, Policy
from exporter.site.choose import NO_GROUP, Query, choose
from exporter.snapshot import Snapshot

HOUR = 3_600


def chosen(snapshot, **asked):
    return [entry.key.id for entry in choose(snapshot, Query(**asked), NOW).entries]


@pytest.fixture
def mixed():
    """One account with one key of every kind."""
    return a_snapshot(
        an_api_key(id=1, name="fine", group="vip"),
        an_api_key(id=2, name="off", status=2),
        an_api_key(id=3, name="ended", status=4, remaining_quota=0, last_used_at=NOW - 90 * DAY),
        an_api_key(id=4, name="soon", expires_at=NOW + 3 * DAY, group="vip"),
        an_api_key(id=5, name="Now", expires_at=NOW + HOUR),
        an_api_key(id=6, name="low", remaining_quota=1, used_quota=999),
        an_api_key(id=7, name="dead long", remaining_quota=0, last_used_at=NOW - 6 * DAY),
        an_api_key(
            id=8,
            name="dead lately",
            expires_at=NOW - HOUR,
            last_used_at=NOW - HOUR,
            group="vip",
        ),
    )


# Queries.


def test_a_query_is_read_and_written_back():
    pairs = [
        ("account", "a&b"),
        ("id", "7"),
        ("group", "(none)"),
        ("status", "enabled"),
        ("health", "unusable"),
    ]
    query = Query.read([*pairs, ("q", " x y "), ("sort", "-name"), ("page", "3")])

    assert query.link(page=query.page) == (
        "?account=a%26b&id=7&group=%28none%29&status=enabled&health=unusable&q=x+y&sort=-name&page=3"
    )
    assert Query().link() == "./"


def test_a_link_changes_what_it_says_and_begins_with_the_first_page():
    query = Query(group="vip", sort="name", page=4)

    assert query.link(sort="-name") == "?group=vip&sort=-name"
    assert query.link(group="", sort="worst") == "./"
    assert query.link(page=5) == "?group=vip&sort=name&page=5"


@pytest.mark.parametrize(
    "pairs",
    [
        [
            ("status", "banana"),
            ("health", "DEAD"),
            ("sort", "--name"),
            ("sort", "-worst"),
            ("page", "-1"),
            ("id", "x"),
        ],
        [
            ("page", "0"),
            ("limit", "1e9"),
            ("page", "٣"),
            ("sort", "__class__"),
            ("limit", "0"),
            ("id", "-7"),
        ],
        [("", ""), ("page", ""), ("q", "   "), ("unknown", "x" * 9999), ("id", "")],
    ],
)
def test_what_a_query_cannot_mean_is_ignored(pairs):
    assert Query.read(pairs) == Query()


def test_what_a_query_has_too_much_of_is_cut():
    query = Query.read(
        [("q", "x" * 5000), ("group", "g" * 5000), ("page", "9" * 5000), ("limit", "9" * 5000)]
    )

    assert (len(query.q), len(query.group), query.page, query.limit) == (
        100,
        200,
        10**19 - 1,
        10**19 - 1,
    )


@pytest.mark.parametrize("field", ["account", "group", "status", "health", "policy", "q"])
def test_any_filter_narrows(field):
    assert Query(**{field: "x"}).is_narrow
    assert Query(id=0).is_narrow
    assert not Query(sort="name", page=2, limit=3).is_narrow


# Choices.


def test_the_worst_come_first(mixed):
    assert chosen(mixed) == [8, 7, 5, 6, 4, 3, 1, 2]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"sort": "name"}, [8, 7, 3, 1, 6, 5, 2, 4]),
        ({"sort": "-name"}, [4, 2, 5, 6, 1, 3, 7, 8]),
        ({"sort": "id"}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"sort": "-id"}, [8, 7, 6, 5, 4, 3, 2, 1]),
        ({"sort": "expires"}, [8, 5, 4, 7, 6, 3, 2, 1]),
        ({"sort": "-expires"}, [4, 5, 8, 7, 6, 3, 2, 1]),
        ({"sort": "status"}, [2, 8, 7, 6, 5, 4, 1, 3]),
        ({"group": "vip"}, [8, 4, 1]),
        ({"group": NO_GROUP}, [7, 5, 6, 3, 2]),
        ({"group": "gone"}, []),
        ({"id": 6}, [6]),
        ({"id": 6, "group": "vip"}, []),
        ({"status": "disabled"}, [2]),
        ({"status": "exhausted"}, [3]),
        ({"health": "unusable"}, [8, 7]),
        ({"q": "DEAD"}, [8, 7]),
        ({"q": "dead lately"}, [8]),
        ({"q": "lately dead"}, [8]),
        ({"q": "vip soon"}, [4]),
        ({"q": "dead soon"}, []),
        ({"account": "main", "health": "ok"}, [1]),
        ({"account": "other"}, []),
    ],
)
def test_a_query_narrows_and_sorts(mixed, asked, ids):
    assert chosen(mixed, **asked) == ids


def test_the_tally_counts_what_matches_but_for_the_chosen_health(mixed):
    choice = choose(mixed, Query(group="vip", health="unusable"), NOW)

    assert {health.value for health, number in choice.tally.items() if number == 1} == {
        "unusable",
        "warning",
        "ok",
    }
    assert (sum(choice.tally.values()), choice.matched, choice.total) == (3, 1, 8)


@pytest.mark.parametrize(
    ("page", "ids"), [(1, [1, 2, 3]), (2, [4, 5, 6]), (3, [7, 8]), (4, [7, 8]), (1_000_000, [7, 8])]
)
def test_a_page_past_the_last_is_the_last(mixed, page, ids):
    assert chosen(mixed, sort="id", limit=3, page=page) == ids


def test_money_is_compared_across_accounts_with_different_units():
    snapshot = Snapshot.of(
        [
            a_read_state(
                an_api_key(id=1, remaining_quota=500_000),
                name="a",
                configured_units_per_usd=500_000.0,
            ),
            a_read_state(
                an_api_key(id=2, remaining_quota=50), name="b", configured_units_per_usd=10.0
            ),
        ]
    )

    assert chosen(snapshot, sort="-remaining") == [2, 1]


@pytest.mark.parametrize(
    ("policy", "ids"),
    [
        ("", [1, 2, 3]),
        ("any", [1, 2]),
        ("ip_allowlist", [1]),
        ("limited_quota", [2]),
        ("x", [1, 2, 3]),
    ],
)
def test_keys_are_chosen_by_the_policy_that_they_break(policy, ids):
    policies = Policies([Policy(ip_allowlist=True, limited_quota=True)])
    keys = [
        an_api_key(id=1),
        an_api_key(id=2, ip_allowlist=A_LIST, remaining_quota=None),
        an_api_key(id=3, ip_allowlist=A_LIST),
    ]
    snapshot = Snapshot.of([a_read_state(*keys, policies=policies)])

    choice = choose(snapshot, Query.read([("policy", policy), ("sort", "id")]), NOW)

    assert [entry.key.id for entry in choice.entries] == ids


def test_a_thousand_groups_are_offered_at_the_most():
    """Each costs a line of the page, and the gateway chooses them."""
    snapshot = a_snapshot(*(an_api_key(id=n, group=f"g{n:04}") for n in range(1, 1_002)))

    assert choose(snapshot, Query(), NOW).groups == [f"g{n:04}" for n in range(1, 1_001)]
