"""`--backfill` writes what the gateway recorded, and a real Prometheus takes it.

The program asks a simulated gateway whose rows are known. promtool makes blocks of what it writes,
and Prometheus serves them.
"""

import itertools
import time

import pytest
from binaries import require
from books import HOUR, Books
from builders import CANARY_TOKEN, wire_keys
from dashboards.queries import Moment
from dashboards.serving import prometheus_with_history
from gateway import (
    KEYS_PATH,
    STATUS_PATH,
    USAGE_BY_KEY_PATH,
    USAGE_PATH,
    Gateway,
    answer,
    on_path,
    rejected,
)
from processes import EXPORTER, Process, accounts_file, clean_environment, run, run_exporter

DAY = 24 * HOUR
NAME = "cometapi_usage_quota_total"
END = int(time.time()) // HOUR * HOUR - 3 * HOUR
FIRST = END - 30 * DAY


def rows():
    """Give the hour, model, key and quota of every request: by day and week, with gaps."""
    for number, hour in enumerate(range(FIRST - DAY, END + 3 * HOUR, HOUR)):
        if number % 50 != 7:
            yield hour, "steady", 1, 10_000 + 37 * number % 900
        if number % 24 in range(8, 18):
            yield hour, "office", 2, 90_000
        if hour >= END - 5 * DAY:
            yield hour, "new", 2, 333


def the_books(recorded=None):
    books = Books()
    for hour, model, key_id, quota in rows() if recorded is None else recorded:
        books.book(hour, model, quota, key_id=key_id)
    books.flush()
    return books


def booked(model, since, until):
    return sum(quota for hour, used, _, quota in rows() if used == model and since <= hour < until)


def backfill(gateway, *flags, **environment):
    return run_exporter("--backfill", *flags, gateway=gateway, **environment)


def asked(gateway, path):
    return sum(request.path == path for request in gateway.requests)


@pytest.fixture(scope="module")
def by_model():
    """Return what is written of 30 days by model, and the gateway that was asked."""
    with Gateway(offers=the_books().offers(), keys=wire_keys(2)) as gateway:
        done = backfill(gateway, f"--backfill.end={END}")
    assert done.returncode == 0, done.stderr
    return done.stdout, gateway


def live(began, hours):
    """Give what an exporter exposes that starts at *began*: it counts from 0 what is booked since."""
    total = 0
    for hour in range(began, began + hours * HOUR, HOUR):
        grown = booked("steady", hour, hour + HOUR)
        for second in range(0, HOUR, 60):
            value = total + grown * second // HOUR
            yield (
                f'{NAME}{{account="default",instance="127.0.0.1:10144",job="cometapi-exporter",'
                f'model="steady"}} {value} {hour + second}\n'
            )
        total += grown


@pytest.fixture(scope="module")
def prometheus(by_model, tmp_path_factory):
    """Serve the blocks of the file, and after its end what an exporter exposes that starts then."""
    require("promtool")
    text, _ = by_model
    lines = [line for line in text.splitlines(keepends=True) if line.startswith(NAME)]
    lines += live(END + 60, 2)
    with prometheus_with_history(tmp_path_factory.mktemp("data"), [*lines, "# EOF\n"]) as client:
        yield client


def test_thirty_days_by_model_take_two_requests(by_model):
    _, gateway = by_model

    assert [request.path for request in gateway.requests] == [STATUS_PATH, USAGE_PATH]


def test_promtool_makes_blocks_of_the_file_as_it_is(by_model, tmp_path):
    promtool = require("promtool")
    text, _ = by_model
    (tmp_path / "history.om").write_text(text, encoding="utf-8")
    done = run(
        promtool,
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=24h",
        tmp_path / "history.om",
        tmp_path / "data",
        seconds=300,
    )

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "data").iterdir())) > 30


def at(prometheus, query, end):
    found = prometheus.now(query, Moment(end=end, seconds=HOUR))
    return {series["metric"]["model"]: float(series["value"][1]) for series in found}


def test_every_hour_grows_by_what_the_gateway_recorded_of_it(prometheus):
    found = {hour: at(prometheus, NAME, hour) for hour in range(FIRST, END + 1, HOUR)}
    wrong = []
    for hour in range(FIRST, END, HOUR):
        for model in ("steady", "office", "new"):
            before = found[hour].get(model, 0)
            grown = found[hour + HOUR].get(model, 0) - before
            if grown != booked(model, hour, hour + HOUR):
                wrong.append((hour, model, grown))

    assert wrong == []


@pytest.mark.parametrize("model", ["steady", "office"])
@pytest.mark.parametrize("days", [1, 7, 30])
def test_an_increase_over_days_is_what_the_gateway_recorded(prometheus, model, days):
    found = at(prometheus, f"increase({NAME}[{days}d])", END)

    assert found[model] == pytest.approx(booked(model, END - days * DAY, END), rel=0.03)


def test_an_increase_across_the_border_is_what_the_gateway_recorded(prometheus):
    found = at(prometheus, f"increase({NAME}[24h])", END + 2 * HOUR)
    truth = booked("steady", END - 22 * HOUR, END + 2 * HOUR)

    assert found["steady"] == pytest.approx(truth, rel=0.03)


def test_by_key_each_hour_with_usage_is_asked_once_and_at_most_twenty_a_minute():
    """The limit is not waited for here: 15 hours are fewer than the twenty of a minute."""
    recorded = [(END - n * HOUR, "m", 1 + n % 2, 100 + n) for n in range(1, 16)]
    with Gateway(offers=the_books(recorded).offers(), keys=wire_keys(1)) as gateway:
        done = backfill(
            gateway, "--collect.usage=key-model", f"--backfill.end={END}", "--backfill.days=1"
        )
        counts = {path: asked(gateway, path) for path in (USAGE_BY_KEY_PATH, USAGE_PATH, KEYS_PATH)}

    assert done.returncode == 0, done.stderr
    assert counts == {USAGE_BY_KEY_PATH: 15, USAGE_PATH: 1, KEYS_PATH: 1}
    # Key 2 is gone, as it is for the exporter.
    ends = [line for line in done.stdout.splitlines() if line.endswith(f" {END}")]
    total = sum(quota for _, _, key_id, quota in recorded if key_id == 1)
    (quota,) = [line for line in ends if line.startswith(NAME)]
    assert 'key_id="1"' in quota
    assert quota.split()[-2] == str(total)
    assert "Reading 15 hours by key, 20 a minute: about" in done.stderr
    assert "15 of 15 hours read by key." in done.stderr


def test_several_accounts_are_in_one_file_and_no_family_comes_twice(tmp_path):
    with Gateway(offers=the_books().offers()) as one, Gateway(offers=the_books().offers()) as two:
        flag = accounts_file(tmp_path, {"one": one, "two": two})
        done = run_exporter(
            "--backfill", flag, f"--backfill.end={END}", "--backfill.days=1", TOKEN=CANARY_TOKEN
        )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert families == [f"cometapi_usage_{amount}" for amount in ("quota", "tokens", "requests")]
    in_order = [key for key, _ in itertools.groupby(line.split(" ")[0] for line in lines)]
    assert len([name for name in in_order if name.startswith("cometapi")]) == 2 * 3 * 3
    assert lines[-1] == "# EOF"


def test_labels_replace_those_of_the_bundled_target_and_an_empty_one_is_none():
    with Gateway(offers=the_books().offers()) as gateway:
        done = backfill(
            gateway,
            "--backfill.days=1",
            "--backfill.label=job=llm",
            "--backfill.label=instance=",
            "--backfill.label=team=a, b",
        )

    (first, *_) = [line for line in done.stdout.splitlines() if line.startswith(NAME)]
    assert first.startswith(f'{NAME}{{account="default",job="llm",model="')
    assert ',team="a, b"} 0 ' in first


NO_RECORDS = the_books([])
NO_RECORDS.is_exported = False


@pytest.mark.parametrize(
    ("offers", "attributes", "words"),
    [
        pytest.param(NO_RECORDS.offers(), {}, "keeps no records of usage", id="no records"),
        pytest.param({STATUS_PATH: {"enable_data_export": True}}, {}, "HTTP 404", id="no path"),
        pytest.param(
            the_books([]).offers(),
            {"rejects_with": rejected("AUTH_UNAUTHORIZED")},
            "fix: check the user ID",
            id="rejected token",
        ),
        pytest.param(
            the_books([]).offers(),
            {"faults": on_path(USAGE_PATH, answer(403, b"no"))},
            "fix: check --cometapi.base-url",
            id="a firewall",
        ),
    ],
)
def test_a_gateway_without_history_is_an_error_in_words_and_nothing_on_standard_output(
    offers, attributes, words
):
    with Gateway(offers=offers) as gateway:
        for name, value in attributes.items():
            setattr(gateway, name, value)
        done = backfill(gateway)

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "source"),
    [
        ("--backfill.days=31", "--backfill.days (COMETAPI_EXPORTER_BACKFILL_DAYS)"),
        ("--backfill.days=0", "--backfill.days (COMETAPI_EXPORTER_BACKFILL_DAYS)"),
        ("--backfill.end=yesterday", "--backfill.end (COMETAPI_EXPORTER_BACKFILL_END)"),
        ("--backfill.end=2026-01-01T00:00:00", "--backfill.end (COMETAPI_EXPORTER_BACKFILL_END)"),
        ("--backfill.end=99999999999", "--backfill.end (COMETAPI_EXPORTER_BACKFILL_END)"),
        ("--backfill.label=job", "--backfill.label (COMETAPI_EXPORTER_BACKFILL_LABEL)"),
        ("--backfill.label=model=x", "--backfill.label (COMETAPI_EXPORTER_BACKFILL_LABEL)"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_asked(flag, source):
    with Gateway(offers=the_books([]).offers()) as gateway:
        done = backfill(gateway, flag)

    assert (done.returncode, done.stdout, gateway.requests) == (2, "", [])
    assert source in done.stderr


def test_a_flag_of_the_backfill_alone_starts_no_server():
    done = run_exporter("--backfill.days=7")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--backfill.days requires --backfill\n"


def test_an_interrupted_run_leaves_nothing_that_promtool_takes():
    """Beyond twenty hours the limit is waited for, so there is time to interrupt."""
    recorded = [(END - n * HOUR, "m", 1, 100) for n in range(1, 24)]
    with Gateway(offers=the_books(recorded).offers(), keys=wire_keys(1)) as gateway:
        flags = ("--backfill", "--collect.usage=key-model", "--backfill.days=1")
        with Process([EXPORTER, *flags], clean_environment(gateway)) as running:
            gateway.wait_for(10, USAGE_BY_KEY_PATH)
            code = running.stop()

    assert code != 0
    assert "# EOF" not in "".join(running.output)


def test_the_token_and_the_secrets_of_keys_are_nowhere():
    recorded = [(END - n * HOUR, "m", 1, 100) for n in range(1, 4)]
    with Gateway(offers=the_books(recorded).offers(), keys=wire_keys(1)) as gateway:
        flags = ("--collect.usage=key-model", "--backfill.days=1")
        found = [backfill(gateway, *flags)]
        gateway.faults = on_path(USAGE_PATH, answer(400, CANARY_TOKEN.encode()))
        found.append(backfill(gateway, *flags))

    assert [done.returncode for done in found] == [0, 1]
    for done in found:
        assert CANARY_TOKEN not in done.stdout + done.stderr
        for key in gateway.keys:
            assert key["key"] not in done.stdout + done.stderr


def test_history_is_read_with_the_scheme_and_the_headers_of_the_account(tmp_path):
    headers = tmp_path / "headers"
    headers.write_text("x-team: platform\n", encoding="utf-8")
    recorded = [(END - HOUR, "m", 1, 100)]
    flags = ("--cometapi.auth-scheme=bearer", f"--cometapi.headers-file={headers}")
    with Gateway(offers=the_books(recorded).offers(), keys=wire_keys(1)) as gateway:
        done = backfill(gateway, "--backfill.days=1", *flags)
        sent = [request.headers for request in gateway.requests]

    assert (done.returncode, len(sent) > 0) == (0, True)
    assert {each["authorization"] for each in sent} == {f"Bearer {CANARY_TOKEN}"}
    assert {each.get("x-team") for each in sent} == {"platform"}


def test_the_demo_has_thirty_days_of_every_model():
    done = run_exporter("--demo", "--backfill")

    assert done.returncode == 0, done.stderr
    begins = [line for line in done.stdout.splitlines() if line.startswith(NAME) and " 0 " in line]
    assert len(begins) == 4
    oldest = min(int(line.split()[-1]) for line in begins)
    assert time.time() - oldest > 29 * DAY
