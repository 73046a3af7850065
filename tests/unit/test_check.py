"""The table of --check."""

from textwrap import dedent

from domain import NOW, a_balance, a_read_state, a_state, an_api_key, failure

from exporter.check import report
from exporter.errors import RateLimited, Reason
from exporter.refresher import Outcome


def an_outcome(state, reason=None):
    if reason is None:
        return Outcome(state=state, label="success")
    return Outcome(state=state, label=reason.value, failure=failure(reason))


def test_the_table_says_what_was_found_and_what_to_do():
    found = a_read_state(
        an_api_key(id=1),
        an_api_key(id=2, remaining_quota=0),
        an_api_key(id=3, status=2),
        an_api_key(id=4, status=3),
        an_api_key(id=5, status=4),
        an_api_key(id=6, status=77),
        name="work",
        balance=a_balance(remaining_quota=617_500_000),
    )
    untold = a_read_state(name="private")
    outcomes = [an_outcome(found), an_outcome(untold), an_outcome(a_state(name="dead"), Reason.UNREACHABLE)]

    assert report(outcomes, NOW) == dedent("""\
        account  keys  enabled  disabled  expired  exhausted  unknown  usable  skipped  balance       result
        work     6     2        1         1        1          1        1       0        1,235.00 USD  ok
        private  0     0        0         0        0          0        0       0        not told      ok
        dead     -     -        -         -        -          -        -       -        -             unreachable

        dead: it went wrong
          what to do: check --cometapi.base-url, the network, proxies; --cometapi.ca-file trusts a private CA""")


def test_an_unsettled_listing_is_named_as_such():
    outcome = Outcome(state=a_read_state(an_api_key()), label="inconsistent")

    assert report([outcome], NOW).endswith("inconsistent")


def test_usable_is_judged_at_the_time_of_the_table():
    outcome = an_outcome(a_read_state(an_api_key(expires_at=NOW + 9)))

    assert [report([outcome], now).splitlines()[1].split()[7] for now in (NOW + 9, NOW + 10)] == ["1", "0"]


def test_money_is_counted_by_the_accounts_own_rate():
    state = a_read_state(balance=a_balance(remaining_quota=1_500), configured_units_per_usd=1_000.0)

    assert "1.50 USD" in report([an_outcome(state)], NOW)


def test_a_rate_limit_says_what_to_lower():
    outcome = Outcome(state=a_state(), label="rate_limited", failure=RateLimited("HTTP 429"))

    assert "lower --collect.max-requests-per-minute" in report([outcome], NOW)
