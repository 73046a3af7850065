"""What a gateway reports of an account besides its keys; the samples show the rest."""

import json

import pytest
from builders import CANARY_EMAIL, a_wire_account

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import (
    parse_balance,
    parse_groups,
    parse_status,
    parse_subscriptions,
    parse_usage,
    parse_usage_by_hour,
)
from exporter.errors import InvalidResponse
from exporter.model import (
    Amounts,
    Balance,
    BillingPreference,
    GatewayStatus,
    Series,
    Subscription,
    Subscriptions,
)

MISSING = "(missing)"


def an_answer(data: str) -> Answer:
    body = f'{{"success": true, "message": "", "data": {data}}}'.encode()
    return Answer(status=200, headers={}, body=body, received_at=0.0)


def read(**fields: object) -> Balance:
    account = {
        name: value for name, value in (a_wire_account() | fields).items() if value != MISSING
    }
    return parse_balance(an_answer(json.dumps(account)))


def test_the_account_is_read_without_its_personal_data():
    assert read() == Balance(
        remaining_quota=24_997_909, used_quota=10_027_091, requests=339, account_id=1
    )
    assert CANARY_EMAIL not in repr(read())


def test_an_account_without_a_count_of_requests_is_read():
    assert read(request_count=MISSING).requests is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quota", 1.5),
        ("quota", 2**63),
        ("quota", MISSING),
    ],
)
def test_an_account_that_cannot_be_read_names_the_path(field, value):
    with pytest.raises(InvalidResponse, match=r"`\$\.data") as caught:
        read(**{field: value})

    assert "canary" not in str(caught.value).lower()


@pytest.mark.parametrize(
    ("group", "factor"),
    [
        ('{"ratio": 2}', 2.0),
        ('{"ratio": 0.5}', 0.5),
        ('{"ratio": "2"}', 2.0),
        ('{"ratio": "自动"}', None),
        ('"a text in place of a description"', None),
        ("7", None),
        ('{"ratio": true}', None),
        ('{"ratio": null}', None),
        ('{"ratio": [2]}', None),
        ('{"ratio": 1e400}', None),
        ('{"ratio": 1e300}', None),
        ('{"ratio": -1}', None),
        ("{}", None),
    ],
)
def test_the_price_factor_of_a_group_is_a_number_or_not_reported(group, factor):
    assert parse_groups(an_answer(f'{{"vip": {group}}}')) == {"vip": factor}


@pytest.mark.parametrize(
    "times", ["", ', "end_time": 0, "next_reset_time": 0'], ids=["missing", "zero"]
)
def test_a_subscription_without_times_is_read_and_an_overdrawn_one_has_nothing_left(times):
    terms = f'{{"amount_total": 5, "amount_used": 9{times}}}'
    data = (
        f'{{"billing_preference": "wallet_only", "subscriptions": [{{"subscription": {terms}}}]}}'
    )

    assert parse_subscriptions(an_answer(data)) == Subscriptions(
        running=(Subscription(remaining_quota=0),), preference=BillingPreference.WALLET_ONLY
    )


def subscriptions(*rows, preference='"subscription_first"'):
    """Read the running subscriptions *rows*, each the JSON of its terms."""
    shown = ", ".join(f'{{"subscription": {row}}}' for row in rows)
    data = f'{{"billing_preference": {preference}, "subscriptions": [{shown}]}}'
    return parse_subscriptions(an_answer(data))


@pytest.mark.parametrize(
    "terms",
    [
        '{"amount_total": 5.5, "amount_used": 1}',
        '{"amount_total": 5, "amount_used": 0.25}',
        '{"amount_total": null, "amount_used": 1}',
        '{"amount_used": 1}',
        "7",
    ],
    ids=["a fraction in all", "a fraction used", "null", "missing", "no object"],
)
def test_a_subscription_that_cannot_be_read_costs_itself_and_makes_the_sum_unknown(terms):
    found = subscriptions('{"amount_total": 9, "amount_used": 2, "end_time": 70}', terms)

    assert (len(found.running), found.unreadable, found.is_any_running) == (1, 1, True)
    assert (found.remaining_quota, found.ends_at) == (None, 70)


@pytest.mark.parametrize("time", ['"soon"', "null", "-1", "0", "[1]", "1.5"])
def test_a_time_of_a_subscription_that_cannot_be_read_costs_itself(time):
    terms = (
        f'{{"amount_total": 9, "amount_used": 2, "end_time": {time}, "next_reset_time": {time}}}'
    )

    assert subscriptions(terms).running == (Subscription(remaining_quota=7),)


@pytest.mark.parametrize("preference", ['"by_moon_phase"', "null", "7", '""', "{}"])
def test_a_preference_that_is_none_of_the_known_ones_is_not_known(preference):
    found = subscriptions('{"amount_total": 9, "amount_used": 2}', preference=preference)

    assert (found.running, found.preference) == ((Subscription(remaining_quota=7),), None)


def test_the_preference_is_kept_where_no_subscription_is_running():
    assert subscriptions(preference='"subscription_only"') == Subscriptions(
        preference=BillingPreference.SUBSCRIPTION_ONLY
    )


HOUR = 1_000 * 3_600


def a_usage_row(**over: object) -> dict[str, object]:
    row = {"model_name": "small", "created_at": HOUR, "quota": 5, "token_used": 9, "count": 1}
    return row | over


def usage(*rows: dict[str, object], by_key: bool = False) -> dict[Series, Amounts]:
    """Read the response to a request for two hours."""
    answer = an_answer(json.dumps(rows))
    return parse_usage(answer, first=HOUR, last=HOUR + 3_600, by_key=by_key).sums


def test_rows_of_one_model_are_summed_and_a_negative_amount_counts_as_none():
    rows = (a_usage_row(), a_usage_row(created_at=HOUR + 3_600), a_usage_row(quota=-100))

    assert usage(*rows) == {Series(model="small"): Amounts(quota=10, tokens=27, requests=3)}


@pytest.mark.parametrize(
    ("created_at", "is_counted"),
    [
        (HOUR - 1, False),
        (HOUR, True),
        (HOUR + 7_199, True),
        (HOUR + 7_200, False),
        (0, True),
    ],
)
def test_rows_of_hours_that_were_not_requested_are_left_out(created_at, is_counted):
    """A row without a time is of the whole range."""
    assert bool(usage(a_usage_row(created_at=created_at))) is is_counted


def test_usage_of_no_key_is_summed_by_model_alone():
    rows = (
        a_usage_row(token_id=0, use_group="vip"),
        a_usage_row(token_id=0, use_group="default"),
        a_usage_row(token_id=7, token_name="web", use_group="vip"),
    )

    assert usage(*rows, by_key=True) == {
        Series(model="small"): Amounts(quota=10, tokens=18, requests=2),
        Series(model="small", key_id=7): Amounts(quota=5, tokens=9, requests=1),
    }


def test_models_whose_names_are_alike_as_labels_are_one():
    rows = (a_usage_row(model_name="m" * 200 + "a"), a_usage_row(model_name="m" * 200 + "b"))

    assert usage(*rows) == {Series(model="m" * 200): Amounts(quota=10, tokens=18, requests=2)}


def test_no_more_groups_are_read_than_a_bound_allows():
    most = {str(name): {} for name in range(1_000)}

    assert len(parse_groups(an_answer(json.dumps(most)))) == 1_000
    with pytest.raises(InvalidResponse, match="length <= 1000"):
        parse_groups(an_answer(json.dumps(most | {"one more": {}})))


def test_no_more_rows_of_usage_are_read_than_a_bound_allows():
    most = [a_usage_row(model_name=str(name)) for name in range(10_000)]

    assert len(usage(*most)) == 10_000
    with pytest.raises(InvalidResponse, match="length <= 10000"):
        usage(*most, a_usage_row())


@pytest.mark.parametrize(
    ("factor", "expected"),
    [("0", None), ("0.001", 0.001), ("500000", 500_000.0), ("1e15", 1e15)],
)
def test_the_units_of_a_dollar_are_a_sane_number_or_not_said(factor, expected):
    data = f'{{"quota_per_unit": {factor}}}'

    assert parse_status(an_answer(data)).quota_units_per_usd == expected


@pytest.mark.parametrize(
    "factor", ["5e-324", "0.00099", "1.1e15", "-500000", "1e400", '"many"', "[1]", "true"]
)
def test_units_of_a_dollar_that_no_sum_can_be_divided_by_cost_only_themselves(factor):
    status = parse_status(an_answer(f'{{"version": "v1", "quota_per_unit": {factor}}}'))

    assert status == GatewayStatus(version="v1", unread=("quota_per_unit",))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"version": null, "quota_per_unit": 1000', GatewayStatus(quota_units_per_usd=1000.0)),
        (
            '"version": 7, "quota_per_unit": "1000.5"',
            GatewayStatus(quota_units_per_usd=1000.5, unread=("version",)),
        ),
        ('"enable_data_export": 1', GatewayStatus(has_usage=True)),
        ('"enable_data_export": "yes"', GatewayStatus(unread=("enable_data_export",))),
        ("", GatewayStatus()),
    ],
)
def test_a_field_of_the_status_costs_only_itself(fields, expected):
    assert parse_status(an_answer(f"{{{fields}}}")) == expected


@pytest.mark.parametrize(
    ("written", "number"),
    [("500000", 500_000), ("500000.0", 500_000), ("5e+05", 500_000), ('"500000"', 500_000)],
)
def test_the_balance_is_read_in_any_notation(written, number):
    account = f'{{"id": {written}, "quota": {written}, "used_quota": {written}}}'

    assert parse_balance(an_answer(account)) == Balance(
        remaining_quota=number, used_quota=number, account_id=number
    )


@pytest.mark.parametrize(
    ("field", "value", "unread"),
    [
        ("used_quota", 1.5, ("used_quota",)),
        ("used_quota", None, ()),
        ("used_quota", MISSING, ()),
    ],
)
def test_what_an_account_has_spent_costs_only_itself(field, value, unread):
    balance = read(**{field: value})

    assert (balance.used_quota, balance.remaining_quota) == (None, 24_997_909)
    assert balance.unread == unread


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"quota": "5", "count": 1.0}, 10),
        ({"quota": 1.5}, 5),
        ({"model_name": None}, 5),
        ({"created_at": "soon"}, 5),
        ({"token_used": [9]}, 5),
    ],
)
def test_a_row_of_usage_costs_only_itself(row, expected):
    rows = [a_usage_row(), a_usage_row(**row)]

    assert usage(*rows)[Series(model="small")].quota == expected


def test_rows_none_of_which_can_be_read_are_not_taken_for_no_usage():
    with pytest.raises(InvalidResponse, match="no row can be read"):
        usage(a_usage_row(quota=1.5), a_usage_row(quota={}))


def read_subscriptions(*terms: object, preference: object = "wallet_first") -> Subscriptions:
    data = {
        "billing_preference": preference,
        "subscriptions": [{"subscription": each} for each in terms],
    }
    return parse_subscriptions(an_answer(json.dumps(data)))


@pytest.mark.parametrize(
    ("terms", "unread"),
    [
        ({"amount_total": "many", "amount_used": 1}, ("amount_total",)),
        ({"amount_total": 9}, ("amount_used",)),
        ([], ("subscription",)),
    ],
)
def test_a_subscription_that_cannot_be_read_spares_the_others_and_is_named(terms, unread):
    found = read_subscriptions({"amount_total": "5", "amount_used": 1.0}, terms)

    assert found == Subscriptions(
        running=(Subscription(remaining_quota=4),),
        unreadable=1,
        preference=BillingPreference.WALLET_FIRST,
        unread=unread,
    )
    assert found.remaining_quota is None


def test_a_time_of_a_subscription_costs_only_itself():
    terms = {"amount_total": 5, "amount_used": 1, "end_time": "soon", "next_reset_time": "9"}
    found = read_subscriptions(terms)

    assert found.running == (Subscription(remaining_quota=4, resets_at=9),)
    assert found.unread == ("end_time",)


@pytest.mark.parametrize("preference", ["gift_first", 7, CANARY_EMAIL])
def test_a_preference_that_is_not_known_is_named_and_not_quoted(preference):
    found = read_subscriptions(preference=preference)

    assert (found.preference, found.unread) == (None, ("billing_preference",))


def usage_by_hour(*rows: dict[str, object]) -> dict[int, dict[Series, Amounts]]:
    """Read the response to a request for two hours."""
    return parse_usage_by_hour(an_answer(json.dumps(rows)), first=HOUR, last=HOUR + 3_600)


def test_usage_by_hour_is_summed_by_the_hour_and_rows_of_other_hours_are_left_out():
    rows = [a_usage_row(created_at=HOUR + second) for second in (-1, 0, 60, 3_600, 7_200)]
    small = Series(model="small")

    assert usage_by_hour(*rows) == {
        HOUR: {small: Amounts(quota=10, tokens=18, requests=2)},
        HOUR + 3_600: {small: Amounts(quota=5, tokens=9, requests=1)},
    }


def test_usage_by_hour_without_its_hour_is_an_error():
    with pytest.raises(InvalidResponse, match="without its hour"):
        usage_by_hour(a_usage_row(created_at=0))


def test_usage_by_hour_with_a_row_that_cannot_be_read_is_an_error():
    with pytest.raises(InvalidResponse, match="cannot be read"):
        usage_by_hour(a_usage_row(), a_usage_row(quota=1.5))


@pytest.mark.parametrize(
    ("gift", "has_gifts"),
    [("5000000", True), ('"7"', True), ("0", False), ("-3", False), ("null", False)],
)
def test_a_balance_says_whether_there_are_gifts_beside_the_wallet(gift, has_gifts):
    data = f'{{"quota": 0, "used_quota": 9, "gift_quota": {gift}}}'

    assert parse_balance(an_answer(data)).has_gifts is has_gifts
