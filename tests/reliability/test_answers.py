"""Towards the API, 1: bad answers. Each maps to its reason, is counted, keeps the last keys, and heals by itself.

One running exporter, an account for each reason: a good refresh, the fault, then good refreshes
again.
"""

from contextlib import ExitStack
from pathlib import Path

from builders import CANARY_TOKEN, wire_keys
from gateway import KEYS_PATH, Gateway, answer, gzip_bomb, hang, on_path, truncated
from processes import QUICKLY, Exporter, accounts_file, wait_until

JSON = {"Content-Type": "application/json"}
FAULTS = {
    "unauthorized": answer(
        401, b'{"success": false, "code": "AUTH_UNAUTHORIZED", "message": "no"}', JSON
    ),
    "account_disabled": answer(
        401, b'{"success": false, "code": "AUTH_USER_DISABLED", "message": "no"}', JSON
    ),
    "blocked": answer(403, b"error code: 1010", {"Content-Type": "text/plain"}),
    "rate_limited": answer(429),
    "server_error": answer(503),
    "timeout": hang(30),
    "unreachable": truncated(),
    "rejected": answer(200, b'{"success": false, "message": "no"}', JSON),
    "invalid_response": gzip_bomb(400_000_000),
}
"""One for each reason; which faults lead to a reason is for tests/integration/cometapi and the samples to show."""


def peak_memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def ups(samples):
    return {reason: samples[f'cometapi_up{{account="{reason}"}}'] for reason in FAULTS}


def logged(exporter, message, field):
    """Return what *field* says in every *message*, by account."""
    return {(entry["account"], entry[field]) for entry in exporter.log() if entry["msg"] == message}


def test_bad_answers_are_counted_by_their_reasons_keep_the_keys_and_heal(tmp_path):
    with ExitStack() as stack:
        gateways = {reason: stack.enter_context(Gateway(keys=wire_keys(3))) for reason in FAULTS}
        flags = (*QUICKLY, "--collect.timeout=500ms", accounts_file(tmp_path, gateways))
        exporter = stack.enter_context(Exporter(*flags, TOKEN=CANARY_TOKEN)).wait_ready()
        assert ups(exporter.samples()) == dict.fromkeys(FAULTS, 1)

        for reason, gateway in gateways.items():
            gateway.faults = on_path(KEYS_PATH, FAULTS[reason])
        wait_until(lambda: ups(exporter.samples()) == dict.fromkeys(FAULTS, 0))
        bad = exporter.samples()
        for reason in FAULTS:
            failures = (
                f'cometapi_exporter_refresh_failures_total{{account="{reason}",reason="{reason}"}}'
            )
            keys = [
                name for name in bad if name.startswith(f'cometapi_key_status{{account="{reason}"')
            ]
            assert (bad[failures] >= 1, len(keys)) == (True, 3), reason
        assert [exporter.get(f"/-/{probe}").status_code for probe in ("healthy", "ready")] == [
            200,
            200,
        ]

        for gateway in gateways.values():
            gateway.faults = None
        wait_until(lambda: ups(exporter.samples()) == dict.fromkeys(FAULTS, 1))
        reasons = {(reason, reason) for reason in FAULTS}
        wait_until(lambda: logged(exporter, "refresh recovered", "previous_reason") == reasons)
        assert logged(exporter, "refresh failed", "reason") == reasons
        assert peak_memory_mb(exporter.process.pid) < 160
