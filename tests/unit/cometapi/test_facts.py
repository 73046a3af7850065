"""What a gateway reports of an account besides its keys; the samples show the rest."""

import json

import pytest
from builders import CANARY_EMAIL, a_wire_account

from exporter.cometapi.answer import Answer
from exporter.cometapi.facts import parse_balance, parse_groups
from exporter.errors import InvalidResponse
from exporter.model import Balance

MISSING = "(missing)"


def an_answer(data: str) -> Answer:
    body = f'{{"success": true, "message": "", "data": {data}}}'.encode()
    return Answer(status=200, headers={}, body=body, received_at=0.0)


def read(**fields: object) -> Balance:
    account = {name: value for name, value in (a_wire_account() | fields).items() if value != MISSING}
    return parse_balance(an_answer(json.dumps(account)))


def test_the_account_is_read_without_its_personal_data():
    assert read() == Balance(remaining_quota=24_997_909, used_quota=10_027_091, requests=339, account_id=1)
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
