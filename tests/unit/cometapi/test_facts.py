"""What a gateway reports of an account besides its keys; the samples show the rest."""

import json

import pytest
from builders import CANARY_EMAIL, a_wire_account

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import parse_balance, parse_groups, parse_subscriptions, parse_usage
from exporter.errors import InvalidResponse
from exporter.model import Balance, Subscriptions

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
        ("quota", "1"),
        ("quota", 1.5),
        ("quota", 2**63),
        ("quota", MISSING),
        ("used_quota", None),
        ("request_count", True),
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
        ('{"ratio": "2"}', None),
        ('{"ratio": true}', None),
        ('{"ratio": null}', None),
        ('{"ratio": [2]}', None),
        ('{"ratio": 1e400}', None),
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
        remaining_quota=0, preference="wallet_only"
    )


ROW = '{"model_name": "small", "quota": 5, "token_used": 9, "count": 1}'


@pytest.mark.parametrize(
    ("parse", "most", "render"),
    [
        (
            parse_groups,
            1_000,
            lambda count: "{" + ",".join(f'"{name}": {{}}' for name in range(count)) + "}",
        ),
        (
            lambda answer: parse_usage(answer, by_key=False),
            50_000,
            lambda count: f"[{','.join([ROW] * count)}]",
        ),
    ],
    ids=["groups", "usage"],
)
def test_no_more_is_read_than_a_bound_allows(parse, most, render):
    assert len(parse(an_answer(render(most)))) == most
    with pytest.raises(InvalidResponse, match=f"length <= {most}"):
        parse(an_answer(render(most + 1)))
