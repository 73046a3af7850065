"""The unit, checked by systemd's own analysis; and the exporter running with the privileges that the unit leaves it."""

import ctypes
import os
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from binaries import require
from builders import CANARY_TOKEN, wire_keys
from gateway import Gateway
from processes import EXPORTER, Exporter, clean_environment, output_of, run, wait_until

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/cometapi-exporter.service"
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1


def settings() -> dict[str, list[str]]:
    """Return what the unit sets, several times where it does."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(
        r"^([A-Za-z]+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE
    ):
        found.setdefault(name, []).append(value)
    return found


def analyse(verb: str, *options: str, unit: Path = UNIT) -> subprocess.CompletedProcess[str]:
    """Run one verb of systemd-analyze."""
    return run(require("systemd-analyze"), "--no-pager", verb, *options, unit)


def test_systemd_understands_every_line(tmp_path):
    copy = tmp_path / UNIT.name
    installed = UNIT.read_text(encoding="utf-8").replace(
        "/opt/cometapi-exporter/bin/cometapi-exporter", str(EXPORTER)
    )
    copy.write_text(installed, encoding="utf-8")
    done = analyse("verify", "--man=no", unit=copy)

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_rates_the_exposure_at_most_1_5():
    done = analyse("security", "--offline=true", "--threshold=15")

    assert done.returncode == 0, "\n".join(
        line for line in done.stdout.split("\n") if "✗" in line or "→" in line
    )


def test_whatever_ends_the_exporter_it_is_started_again_except_for_invalid_settings():
    unit = settings()

    assert unit["Restart"] == ["always"], (
        "systemd counts an end by SIGHUP as clean: on-failure leaves it down"
    )
    assert unit["RestartPreventExitStatus"] == ["2"]


def check_of_the_runbooks() -> list[str]:
    """Return the arguments of the runbooks' systemd-run, which checks the setup with the unit's own settings."""
    text = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^ *(systemd-run (?:.*\\\n)*.*)$", text, re.MULTILINE)
    return shlex.split(command)


def test_the_check_of_the_runbooks_has_the_settings_of_the_unit(tmp_path):
    arguments = check_of_the_runbooks()
    properties = [value for flag, value in pairwise(arguments) if flag == "-p"]
    ours = {f"{name}={value}" for name, values in settings().items() for value in values}
    transient = tmp_path / "cometapi-exporter-check.service"
    transient.write_text(
        "\n".join(["[Service]", *properties, "ExecStart=/bin/true", ""]), encoding="utf-8"
    )

    assert set(properties) <= ours
    assert {value.partition("=")[0] for value in properties} == {
        "DynamicUser",
        "EnvironmentFile",
        "LoadCredential",
    }
    assert not [argument for argument in arguments if "%" in argument], (
        "systemd-run does not expand specifiers"
    )
    assert analyse("verify", "--man=no", unit=transient).stderr == ""


def test_the_check_of_the_runbooks_reads_the_token_from_its_credential(tmp_path):
    *_, shell, option, script = check_of_the_runbooks()
    (tmp_path / "token").write_text(CANARY_TOKEN, encoding="utf-8")
    with Gateway(keys=wire_keys(2)) as gateway:
        environment = clean_environment(
            CREDENTIALS_DIRECTORY=str(tmp_path), COMETAPI_BASE_URL=gateway.url
        )
        output_of(
            shell,
            option,
            script.replace(settings()["ExecStart"][0], str(EXPORTER)),
            env=environment,
        )


def calls_of(group: str) -> set[str]:
    """Return every system call of one of systemd's groups, other groups in it included."""
    lines = output_of(require("systemd-analyze"), "--no-pager", "syscall-filter", group).split(
        "\n"
    )[1:]
    names = [name for line in lines if (name := line.strip()) and not name.startswith("#")]
    return {call for name in names for call in (calls_of(name) if name.startswith("@") else {name})}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the system calls of the exporter's whole life: startup, refreshes, a scrape, shutdown."""
    path = tmp_path_factory.mktemp("trace") / "calls"
    tracer = [require("strace"), "--daemonize", "-f", "-qq", "-o", str(path)]
    with Exporter("--demo", before=tracer) as exporter:
        wait_until(lambda: "cometapi_keys{" in exporter.get().text)
    wait_until(lambda: "exit_group(" in path.read_text(errors="replace"))
    return path.read_text(errors="replace")


def test_the_exporter_makes_no_system_call_that_the_unit_forbids(traced):
    made = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", traced, re.MULTILINE))
    allowed = calls_of("@system-service") - calls_of("@privileged") - calls_of("@resources")

    assert settings()["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert {"epoll_wait", "accept4", "openat"} <= made, "the trace shows a server at work"
    assert made - allowed == set()


def test_the_exporter_opens_no_socket_of_a_family_that_the_unit_forbids(traced):
    opened = set(re.findall(r"\bsocket(?:pair)?\((AF_[A-Z0-9]+)", traced))

    assert settings()["RestrictAddressFamilies"] == ["AF_INET AF_INET6 AF_UNIX"]
    assert opened - {"AF_NETLINK"} == {"AF_INET", "AF_UNIX"}, (
        "the C library asks netlink, and does without"
    )


def _refuse_writable_code() -> None:
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        os._exit(77)


def test_the_exporter_runs_without_memory_that_is_both_writable_and_executable():
    assert settings()["MemoryDenyWriteExecute"] == ["yes"]
    done = run(
        EXPORTER, "--demo", "--once", env=clean_environment(), preexec_fn=_refuse_writable_code
    )
    if done.returncode == 77:
        pytest.skip("a kernel before 6.3 cannot refuse such memory to a process that asks")

    assert done.returncode == 0, done.stderr
    assert 'cometapi_up{account="demo"} 1.0' in done.stdout


def proc_options() -> str:
    """Return the options with which systemd mounts /proc for the unit, see systemd.exec(5)."""
    unit = settings()
    options = [f"hidepid={hidden}" for hidden in unit.get("ProtectProc", [])]
    options += [f"subset={subset}" for subset in unit.get("ProcSubset", []) if subset == "pid"]
    return ",".join(options)


def metrics_with_proc(options: str) -> str:
    """Return what the exporter exposes while /proc is mounted with *options*."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount /proc: this part is NOT tested here")
    mount = f'mount -t proc -o {options} proc /proc && exec "$@"'
    own_proc = ["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", mount, "sh"]
    with Exporter("--demo", before=[require("unshare"), *own_proc]) as exporter:
        exposition = exporter.get().text
        exporter.process.kill()  # unshare ignores SIGTERM; its end kills the exporter
    return exposition


def names_of_process_metrics(exposition: str) -> set[str]:
    """Return the names of the metrics of the process."""
    return set(re.findall(r"^(process_\w+) ", exposition, re.MULTILINE))


def test_the_unit_hides_other_processes_and_keeps_the_metrics_of_its_own():
    assert settings()["ProtectProc"] == ["invisible"]
    assert names_of_process_metrics(metrics_with_proc(proc_options())) == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }


def test_a_proc_with_processes_only_would_take_the_metrics_away():
    assert names_of_process_metrics(metrics_with_proc("hidepid=invisible,subset=pid")) == set()


def without_rights() -> list[str]:
    """Return the beginning of a command after which there is a read-only tree, no capability and no new privilege."""
    if os.geteuid() != 0:
        pytest.skip("only root can take rights away: this part is NOT tested here")
    require("unshare")
    drop = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]
    someone = ["--reuid=65532", "--regid=65532", "--clear-groups"]
    probe = run(require("setpriv"), *someone, *drop, EXPORTER, "--version")
    user = (
        someone if probe.returncode == 0 else []
    )  # the tree may be in a home folder that other users cannot enter
    freeze = 'mount --make-rprivate / && mount -o remount,bind,ro / && exec "$@"'
    return [
        require("unshare"),
        "--mount",
        "--",
        "sh",
        "-c",
        freeze,
        "sh",
        require("setpriv"),
        *user,
        *drop,
    ]


def test_the_exporter_serves_from_a_read_only_tree_without_any_right():
    confined = without_rights()
    written = run(*confined, "touch", ROOT / "written")
    assert "Read-only file system" in written.stderr, "the tree is read-only"

    with Exporter("--demo", before=confined) as exporter:
        wait_until(lambda: "cometapi_keys{" in exporter.get().text)
        status = Path(f"/proc/{exporter.process.pid}/status").read_text(encoding="utf-8")
        code = exporter.stop()

    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert code == 0, exporter.lines
