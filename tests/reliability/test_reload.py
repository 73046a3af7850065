"""Reloading the configuration file in the running program: what changed changes, the rest is not disturbed."""

import asyncio
import os
import signal
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
import yaml
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import Exporter, Prometheus, scrape_config, wait_until

RELOADED = "cometapi_exporter_config_last_reload_successful"


class Fleet:
    """An exporter over a configuration file that a test rewrites; each account has a gateway."""

    def __init__(
        self, folder: Path, stack: ExitStack, *names: str, flags: tuple[str, ...] = ()
    ) -> None:
        self.path = folder / "accounts.yml"
        self.gateways = {
            name: stack.enter_context(Gateway(keys=wire_keys(3))) for name in (*names, "spare")
        }
        self.accounts = {name: self.account(name) for name in names}
        self.write()
        self.exporter = stack.enter_context(
            Exporter(
                f"--config.file={self.path}", "--collect.interval=300ms", *flags, TOKEN=CANARY_TOKEN
            )
        )
        self.exporter.wait_ready()

    def account(self, name: str, **options: object) -> dict[str, object]:
        return {
            "name": name,
            "base_url": self.gateways[name].url,
            "access_token_env": "TOKEN",
            **options,
        }

    def write(self) -> None:
        self.path.write_text(yaml.safe_dump({"accounts": list(self.accounts.values())}))

    def hang_up(self) -> None:
        os.kill(self.exporter.process.pid, signal.SIGHUP)

    def reload(self) -> None:
        before = len(self.reloads())
        self.write()
        self.hang_up()
        wait_until(lambda: len(self.reloads()) > before)

    def reloads(self) -> list[dict[str, object]]:
        return [entry for entry in self.exporter.log() if "reload" in entry["msg"]]

    def named(self) -> set[str]:
        return {
            line.split('account="')[1].split('"')[0]
            for line in self.exporter.samples()
            if 'account="' in line
        }

    def refreshes(self, name: str) -> float:
        return self.exporter.samples()[f'cometapi_exporter_refreshes_total{{account="{name}"}}']


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.fixture
def fleet(tmp_path):
    with ExitStack() as stack:
        yield lambda *names, flags=(): Fleet(tmp_path, stack, *names, flags=flags)


def test_an_account_is_added_and_one_removed_without_a_restart(fleet):
    running = fleet("a", "b")
    running.accounts["spare"] = running.account("spare")
    del running.accounts["b"]
    running.reload()

    wait_until(lambda: running.named() == {"a", "spare"})
    assert running.exporter.samples()["cometapi_exporter_accounts"] == 2


def test_an_unchanged_account_keeps_its_counters_and_its_connection(fleet):
    running = fleet("a", "b")
    wait_until(lambda: running.refreshes("a") >= 3)
    connections = running.gateways["a"].connections
    running.accounts["b"] = running.account("b", interval="400ms")
    before = running.refreshes("a")
    running.reload()

    assert running.refreshes("a") >= before
    wait_until(lambda: running.refreshes("a") >= before + 3)
    assert running.gateways["a"].connections == connections


def test_a_changed_account_shows_its_last_keys_until_it_is_read_again(fleet):
    running = fleet("a")
    running.gateways["a"].delay = 30.0
    running.accounts["a"] = running.account("a", interval="500ms")
    running.reload()

    assert sum(line.startswith("cometapi_key_status{") for line in running.exporter.samples()) == 3


def test_an_account_at_another_address_starts_with_nothing(fleet):
    running = fleet("a")
    running.gateways["spare"].delay = 30.0
    running.accounts["a"] = {**running.account("a"), "base_url": running.gateways["spare"].url}
    running.reload()

    wait_until(lambda: not any('key_id="' in line for line in running.exporter.samples()))


def test_a_broken_file_changes_nothing_and_is_reported(fleet):
    running = fleet("a")
    running.path.write_text("accounts: [{name: a, base_url: nonsense, surprise: 1}]")
    running.hang_up()
    (line,) = wait_until(running.reloads)
    running.exporter.wait_ready()

    assert running.exporter.samples()[RELOADED] == 0
    assert line["level"] == "error"
    assert "base_url" in line["problems"]
    assert "surprise" in line["problems"]
    assert running.named() == {"a"}
    running.reload()
    assert running.exporter.samples()[RELOADED] == 1


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_request_reloads_where_the_lifecycle_api_is_enabled(fleet, method):
    running = fleet("a", "b", flags=("--web.enable-lifecycle",))
    del running.accounts["b"]
    running.write()
    answer = httpx.request(method, f"{running.exporter.url}/-/reload", trust_env=False, timeout=20)

    assert answer.status_code == 200
    assert running.named() == {"a"}


def test_a_request_to_reload_a_broken_file_is_answered_with_every_problem_and_no_secret(fleet):
    running = fleet("a", flags=("--web.enable-lifecycle",))
    running.path.write_text(
        f"accounts: [{{name: a, base_url: nonsense, access_token: {CANARY_TOKEN}}}]"
    )
    answer = httpx.post(f"{running.exporter.url}/-/reload", trust_env=False, timeout=20)

    assert answer.status_code == 500
    assert "base_url" in answer.text
    assert "accounts[0].access_token: " in answer.text
    assert CANARY_TOKEN not in answer.text + "".join(running.exporter.lines)


def test_without_the_lifecycle_api_a_request_to_reload_is_forbidden(fleet):
    running = fleet("a")

    assert httpx.post(f"{running.exporter.url}/-/reload", trust_env=False).status_code == 403
    assert httpx.get(f"{running.exporter.url}/-/reload", trust_env=False).status_code == 405


def test_a_file_that_changes_is_reloaded_by_itself_where_that_is_wanted(fleet):
    running = fleet("a", "b", flags=("--config.auto-reload-interval=1s",))
    del running.accounts["b"]
    running.write()

    wait_until(lambda: running.named() == {"a"})


def test_sighup_without_a_file_of_accounts_is_told_and_changes_nothing():
    with (
        Gateway(keys=wire_keys(1)) as gateway,
        Exporter(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url) as exporter,
    ):
        os.kill(exporter.process.pid, signal.SIGHUP)
        wait_until(lambda: any("nothing to reload" in entry["msg"] for entry in exporter.log()))

        assert exporter.wait_ready().process.poll() is None


def test_a_hundred_reloads_under_load_leave_no_descriptor_and_no_gap(fleet, tmp_path):
    running = fleet("a", "b")
    pid = running.exporter.process.pid
    with Prometheus(tmp_path, scrape_config(running.exporter.url)) as prometheus:
        wait_until(lambda: prometheus.query('cometapi_key_status{account="a"}'))
        before = open_descriptors(pid)
        for number in range(100):
            running.accounts["b"] = running.account("b", interval=f"{300 + number % 2}ms")
            running.reload()
        wait_until(lambda: open_descriptors(pid) <= before + 4)
        scrapes = "sum(count_over_time(up[1m]))"
        seen = 'sum(count_over_time(cometapi_key_status{account="a",key_id="1"}[1m]))'

        # One query, so that no scrape comes between the two counts.
        assert prometheus.value(f"{scrapes} - {seen}") == 0
        assert prometheus.value("min_over_time(up[1m])") == 1


def test_a_token_in_a_wrong_place_is_not_in_the_response_to_a_reload(fleet):
    """Anyone who may ask for a reload reads the response, the log keeps it."""
    running = fleet("a", flags=("--web.enable-lifecycle",))
    for field in ("access_token_file", "user_id", "ca_file", "base_url", "interval", CANARY_TOKEN):
        running.accounts["a"] = {**running.account("a"), field: CANARY_TOKEN}
        running.write()
        response = httpx.post(f"{running.exporter.url}/-/reload", trust_env=False, timeout=10)

        assert response.status_code == 500
        assert CANARY_TOKEN not in response.text
    assert CANARY_TOKEN not in "".join([*running.exporter.lines, *running.exporter.output])


def test_settings_that_mean_nothing_are_told_once_by_the_reload_that_brings_them(fleet):
    running = fleet("a")
    for_every_key = {"low_quota_usd": 1}
    unreached = {"keys": "production/.*", "low_quota_usd": 5}
    running.accounts["a"] = running.account("a", thresholds=[for_every_key, unreached])
    running.reload()
    running.reload()

    told = [entry for entry in running.exporter.log() if entry["msg"] == "check this setting"]
    assert [entry["setting"] for entry in told] == [f"{running.path}: accounts[0].thresholds[0]"]


POST_RELOAD = b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


async def ask_for_reloads(port: int, until: float, *, leaves: bool) -> None:
    """Ask for a reload again and again, and wait for each, or leave at once."""
    while time.monotonic() < until:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(POST_RELOAD)
                await writer.drain()
                if not leaves:
                    await reader.readuntil(b"\r\n\r\n")
            finally:
                writer.close()
        await asyncio.sleep(0.05)


async def crowd(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(ask_for_reloads(port, until, leaves=number % 2 == 0) for number in range(300))
    )


def test_a_crowd_that_asks_for_reloads_locks_out_no_scraper_and_leaves_no_work_behind(fleet):
    running = fleet("a", "b", flags=("--web.enable-lifecycle",))
    port = httpx.URL(running.exporter.url).port
    asking = threading.Thread(target=lambda: asyncio.run(crowd(port, 5)))
    asking.start()
    time.sleep(0.5)
    waits = []
    for _ in range(10):
        began = time.monotonic()
        assert running.exporter.get().status_code == 200
        waits.append(time.monotonic() - began)
        time.sleep(0.2)
    asking.join()
    began = time.monotonic()
    response = httpx.post(f"{running.exporter.url}/-/reload", trust_env=False, timeout=10)

    assert response.text == "reloaded\n"
    # One reload takes 10 ms; hundreds that nobody waits for would take seconds.
    assert time.monotonic() - began < 2
    assert max(waits) < 5, "0.3 s where nothing else runs"
