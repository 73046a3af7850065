"""The process, 11: no secret leaves it, whatever fails.

Canaries are planted as token, key values (full and masked), personal data, password, and in
everything the API may say; then every failure is run, and all that left the process is searched:
pages, logs at debug, the command line and the environment-independent files in /proc, the output of
--check and --once.
"""

import base64
import sys
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import httpx
import pytest
from builders import CANARY_EMAIL, CANARY_KEY, CANARY_TOKEN, a_wire_key
from gateway import (
    Gateway,
    always,
    answer,
    close_before_answer,
    drip,
    gzip_bomb,
    hang,
    reset,
    truncated,
)
from processes import (
    QUICKLY,
    Exporter,
    accounts_file,
    clean_environment,
    run,
    run_exporter,
    wait_until,
)

MASKED_KEY = "CANA**********aryZ"
PASSWORD = "CANARYpasswordOfTheWebPage"
HEADER = "CANARYheaderOfTheAccessProxy"
MESSAGE = "CANARYmessageFromTheApi"
CANARIES = (
    CANARY_TOKEN,
    CANARY_KEY,
    MASKED_KEY,
    PASSWORD,
    HEADER,
    MESSAGE,
    CANARY_EMAIL,
    "canary-owner",
)
JSON = {"Content-Type": "application/json"}
SPOKEN = f'{{"success": false, "code": "AUTH_{MESSAGE}", "message": "{MESSAGE} {CANARY_TOKEN} {CANARY_KEY}"}}'.encode()
BROKEN = (
    f'{{"success": true, "message": "{MESSAGE}", "data": {{"page": 1, "page_size": 100, "total": 1, "items": '
    f'[{{"id": 1, "key": "{CANARY_KEY}", "name": "{MESSAGE}", "status": "{CANARY_KEY}"}}]}}}}'
).encode()

FAULTS = {
    "none": None,
    "success false": answer(200, SPOKEN, JSON),
    "401": answer(401, SPOKEN, JSON),
    "403": answer(403, SPOKEN, JSON),
    "404": answer(404, SPOKEN, JSON),
    "429": answer(429, SPOKEN, {"Retry-After": MESSAGE, **JSON}),
    "500": answer(500, SPOKEN, JSON),
    "redirect": answer(
        302, SPOKEN, {"Location": f"https://elsewhere.example/{CANARY_TOKEN}?key={CANARY_KEY}"}
    ),
    "redirect to nonsense": answer(
        302, SPOKEN, {"Location": f"https://{CANARY_TOKEN}:{CANARY_KEY}@[{MESSAGE}"}
    ),
    "redirect to a host": answer(302, SPOKEN, {"Location": f"https://{CANARY_TOKEN}.example.org/"}),
    "redirect to a host in small letters": answer(
        302, SPOKEN, {"Location": f"https://{CANARY_TOKEN.lower()}.example/{CANARY_TOKEN}"}
    ),
    "html": answer(
        200,
        f"<title>{MESSAGE} {CANARY_TOKEN}</title>".encode(),
        {"Content-Type": f"text/{MESSAGE}"},
    ),
    "unreadable key": answer(200, BROKEN, JSON),
    "wrong envelope": answer(
        200, BROKEN.replace(b'"items"', CANARY_KEY.encode().join((b'"', b'"'))), JSON
    ),
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

REASONS = {
    "unauthorized",
    "rejected",
    "rate_limited",
    "server_error",
    "invalid_response",
    "unreachable",
    "timeout",
}
LOUDLY = ("--log.level=debug", "--collect.timeout=300ms")


def reasons(exporter: Exporter) -> set[str]:
    """Return the reasons in the log."""
    return {entry["reason"] for entry in exporter.log() if "reason" in entry}


def leaks(*texts: str) -> list[str]:
    """Name the canaries that show in *texts*, as they are or in base64."""
    everything = "\n".join(texts)
    wanted = {
        canary: (canary, base64.b64encode(canary.encode()).decode().rstrip("="))
        for canary in CANARIES
    }
    found = [
        canary for canary, forms in wanted.items() if any(form in everything for form in forms)
    ]
    # Host names come in small letters.
    return found + [canary for canary in (CANARY_TOKEN, CANARY_KEY) if canary.lower() in everything]


@pytest.fixture
def accounts(tmp_path):
    """Return the flag for a configuration file, one for each fault and one without."""
    keys = [a_wire_key(1, name="full"), a_wire_key(2, name="masked", key=MASKED_KEY)]
    with ExitStack() as stack:
        gateways = {
            name: Gateway(keys=keys, faults=always(fault)) for name, fault in FAULTS.items()
        }
        for gateway in gateways.values():
            stack.enter_context(gateway)
        yield accounts_file(tmp_path, gateways)


@pytest.fixture
def headers_file(tmp_path):
    """Return the flag for a file of headers."""
    path = tmp_path / "headers"
    path.write_text(f"CF-Access-Client-Secret: {HEADER}\n")
    return f"--cometapi.headers-file={path}"


@pytest.fixture
def web_config(tmp_path):
    path = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    path.write_text(f"basic_auth_users:\n  someone: {hashed}\n")
    return path


def pages_of(exporter: Exporter) -> list[str]:
    """Fetch every page as the user, as a stranger and with nonsense; return heads and bodies."""
    texts = []
    for path in (
        "/",
        "/metrics",
        "/metrics?name[]=cometapi_key_info",
        "/api/v1/keys",
        "/api/v1/changes",
        "/-/healthy",
        "/-/ready",
        "/none",
    ):
        for auth in (("someone", PASSWORD), ("someone", "wrong"), None):
            for accept in ("text/plain", "application/openmetrics-text"):
                answered = httpx.get(
                    f"{exporter.url}{path}",
                    auth=auth,
                    headers={"Accept": accept},
                    trust_env=False,
                    timeout=10,
                )
                texts += [str(answered.headers), answered.text]
    return texts


def test_no_canary_leaves_the_process_whatever_the_api_does(accounts, headers_file, web_config):
    flags = (*LOUDLY, *QUICKLY, f"--web.config.file={web_config}", headers_file, accounts)
    with Exporter(*flags, TOKEN=CANARY_TOKEN) as exporter:
        exporter.wait_ready()
        wait_until(lambda: len(reasons(exporter)) == len(REASONS))
        seen = pages_of(exporter)
        command_line = Path(f"/proc/{exporter.process.pid}/cmdline").read_text(encoding="utf-8")

    assert reasons(exporter) == REASONS
    assert leaks(*seen, *exporter.lines, *exporter.output, command_line) == []


@pytest.mark.parametrize(("mode", "code"), [("--check", 1), ("--once", 0)])
def test_no_canary_is_printed(mode, code, accounts, headers_file):
    done = run_exporter(mode, *LOUDLY, headers_file, accounts, TOKEN=CANARY_TOKEN)

    assert done.returncode == code
    assert all(name in done.stdout for name in FAULTS)
    assert leaks(done.stdout, done.stderr) == []


def test_a_mistake_of_our_own_is_logged_without_what_was_read(tmp_path):
    """A bug is planted where keys are made; the log tells the place, never the values."""
    plant = (
        "import sys\n"
        "import exporter.cometapi.wire as wire\n"
        "def bug(key):\n"
        "    raise RuntimeError(repr(key) + str(key.name) + sys.argv[1])\n"
        "wire._api_key = bug\n"
        "from exporter.cli import run\n"
        "import os\n"
        "sys.exit(run(['--once', '--log.level=debug'], os.environ))\n"
    )
    script = tmp_path / "planted.py"
    script.write_text(plant)
    with Gateway(keys=[a_wire_key()]) as gateway:
        done = run(sys.executable, script, MESSAGE, env=clean_environment(gateway))

    assert done.returncode == 1
    assert "reason=internal" in done.stderr
    assert "RuntimeError" in done.stderr
    assert leaks(done.stdout, done.stderr) == []
