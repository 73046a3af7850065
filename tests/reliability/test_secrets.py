"""The process, 11: no secret leaves it, whatever fails.

Canaries are planted as token, key values (full and masked), personal data, password, and in everything the API may say;
then every failure is run, and all that left the process is searched: pages, logs at debug, the command line and the
environment-independent files in /proc, the output of --check and --once.
"""

import base64
from pathlib import Path

import bcrypt
import httpx
import pytest
from builders import CANARY_EMAIL, CANARY_KEY, CANARY_TOKEN, a_wire_key
from gateway import (
    Gateway,
    answer,
    close_before_answer,
    drip,
    gzip_bomb,
    hang,
    reset,
    truncated,
)
from processes import Exporter, run_exporter, wait_until

MASKED_KEY = "CANA**********aryZ"
PASSWORD = "CANARYpasswordOfTheWebPage"
MESSAGE = "CANARYmessageFromTheApi"
CANARIES = (CANARY_TOKEN, CANARY_KEY, MASKED_KEY, PASSWORD, MESSAGE, CANARY_EMAIL, "canary-owner")
JSON = {"Content-Type": "application/json"}
SPOKEN = f'{{"success": false, "code": "AUTH_{MESSAGE}", "message": "{MESSAGE} {CANARY_TOKEN} {CANARY_KEY}"}}'.encode()
BROKEN = (
    f'{{"success": true, "message": "{MESSAGE}", "data": {{"page": 1, "page_size": 100, "total": 1, "items": '
    f'[{{"id": 1, "key": "{CANARY_KEY}", "name": "{MESSAGE}", "status": "{CANARY_KEY}"}}]}}}}'
).encode()

FAULTS = {
    "success false": answer(200, SPOKEN, JSON),
    "401": answer(401, SPOKEN, JSON),
    "403": answer(403, SPOKEN, JSON),
    "404": answer(404, SPOKEN, JSON),
    "429": answer(429, SPOKEN, {"Retry-After": MESSAGE, **JSON}),
    "500": answer(500, SPOKEN, JSON),
    "redirect": answer(302, SPOKEN, {"Location": f"https://elsewhere.example/{CANARY_TOKEN}?key={CANARY_KEY}"}),
    "redirect to nonsense": answer(302, SPOKEN, {"Location": f"https://{CANARY_TOKEN}:{CANARY_KEY}@[{MESSAGE}"}),
    "html": answer(200, f"<title>{MESSAGE} {CANARY_TOKEN}</title>".encode(), {"Content-Type": f"text/{MESSAGE}"}),
    "unreadable key": answer(200, BROKEN, JSON),
    "wrong envelope": answer(200, BROKEN.replace(b'"items"', CANARY_KEY.encode().join((b'"', b'"'))), JSON),
    "half json": answer(200, BROKEN[:-20], JSON),
    "not utf-8": answer(200, BROKEN.replace(b"total", b"\xff\xfe"), JSON),
    "unknown compression": answer(200, BROKEN, {"Content-Encoding": MESSAGE, **JSON}),
    "truncated": truncated(),
    "reset": reset(),
    "closed": close_before_answer(),
    "silence": hang(20),
    "drip": drip(0.2),
    "bomb": gzip_bomb(50_000_000),
}


def leaks(*texts: str) -> list[str]:
    """Name the canaries that show in *texts*, as they are or in base64."""
    everything = "\n".join(texts)
    wanted = {canary: (canary, base64.b64encode(canary.encode()).decode().rstrip("=")) for canary in CANARIES}
    return [canary for canary, forms in wanted.items() if any(form in everything for form in forms)]


@pytest.fixture
def gateway():
    keys = [a_wire_key(1, name="full"), a_wire_key(2, name="masked", key=MASKED_KEY)]
    with Gateway(keys=keys) as running:
        yield running


@pytest.fixture
def web_config(tmp_path):
    path = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    path.write_text(f"basic_auth_users:\n  someone: {hashed}\n")
    return path


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(CANARY_TOKEN)
    return path


def pages_of(exporter: Exporter) -> list[str]:
    """Fetch every page as the user, as a stranger and with nonsense; return heads and bodies."""
    texts = []
    for path in (
        "/",
        "/metrics",
        "/metrics?name[]=cometapi_key_info",
        "/api/v1/keys",
        "/-/healthy",
        "/-/ready",
        "/none",
    ):
        for auth in (("someone", PASSWORD), ("someone", "wrong"), None):
            for accept in ("text/plain", "application/openmetrics-text"):
                answered = httpx.get(
                    f"{exporter.url}{path}", auth=auth, headers={"Accept": accept}, trust_env=False, timeout=10
                )
                texts += [str(answered.headers), answered.text]
    return texts


def test_no_canary_leaves_the_process_whatever_the_api_does(gateway, web_config, token_file):
    with Exporter(
        "--log.level=debug",
        "--collect.interval=100ms",
        "--collect.timeout=300ms",
        "--collect.max-requests-per-minute=100000",
        f"--web.config.file={web_config}",
        f"--cometapi.access-token-file={token_file}",
        COMETAPI_BASE_URL=gateway.url,
    ) as exporter:
        exporter.wait_ready()
        seen = pages_of(exporter)
        for fault in FAULTS.values():
            refreshes = len(exporter.log())
            gateway.faults = lambda _, fault=fault: fault
            wait_until(lambda refreshes=refreshes: any("refresh" in e["msg"] for e in exporter.log()[refreshes:]))
            gateway.faults = None
        token_file.write_text(f"{CANARY_TOKEN}\nbroken {CANARY_TOKEN}")
        wait_until(lambda: "line breaks" in "".join(exporter.lines))
        seen += pages_of(exporter)
        command_line = Path(f"/proc/{exporter.process.pid}/cmdline").read_text(encoding="utf-8")
    assert {entry["reason"] for entry in exporter.log() if "reason" in entry} >= {
        "unauthorized",
        "rejected",
        "rate_limited",
        "server_error",
        "invalid_response",
        "unreachable",
        "timeout",
    }

    assert leaks(*seen, *exporter.lines, *exporter.output, command_line) == []


@pytest.mark.parametrize("fault", [None, *FAULTS.values()], ids=["no fault", *FAULTS.keys()])
@pytest.mark.parametrize("mode", ["--check", "--once"])
def test_no_canary_is_printed(mode, fault, gateway):
    gateway.faults = lambda _: fault

    done = run_exporter(
        mode,
        "--log.level=debug",
        "--collect.timeout=300ms",
        COMETAPI_ACCESS_TOKEN=CANARY_TOKEN,
        COMETAPI_BASE_URL=gateway.url,
    )

    assert done.returncode in (0, 1)
    assert leaks(done.stdout, done.stderr) == []


@pytest.mark.parametrize(
    "flags",
    [
        ("--collect.interval=x",),
        ("--cometapi.base-url=https://user:CANARYpasswordOfTheWebPage@gateway.example",),
        ("--cometapi.base-url=https://gateway.example/?token=CANARYaccessTokenMustNeverBeSeen",),
    ],
    ids=["another setting", "password in the address", "token in the address"],
)
def test_wrong_settings_quote_no_secret(flags):
    done = run_exporter("--once", *flags, COMETAPI_ACCESS_TOKEN=f"{CANARY_TOKEN} with a space")

    assert done.returncode == 2
    assert leaks(done.stdout, done.stderr) == []


def test_a_mistake_of_our_own_is_logged_without_what_was_read(gateway, tmp_path):
    """A bug is planted where keys are made; the log tells the place, never the values."""
    plant = (
        "import sys\n"
        "import exporter.cometapi.wire as wire\n"
        "def bug(key):\n"
        "    raise RuntimeError(repr(key) + str(key.name) + sys.argv[1])\n"
        "wire._api_key = bug\n"
        "from exporter.__main__ import run\n"
        "import os\n"
        "sys.exit(run(['--once', '--log.level=debug'], os.environ))\n"
    )
    import subprocess  # noqa: PLC0415 - for this test alone
    import sys  # noqa: PLC0415 - likewise

    from processes import clean_environment  # noqa: PLC0415 - likewise

    script = tmp_path / "planted.py"
    script.write_text(plant)
    done = subprocess.run(
        [sys.executable, script, MESSAGE],
        env=clean_environment(COMETAPI_ACCESS_TOKEN=CANARY_TOKEN, COMETAPI_BASE_URL=gateway.url),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 1
    assert "reason=internal" in done.stderr
    assert "RuntimeError" in done.stderr
    assert leaks(done.stdout, done.stderr) == []
