"""Log lines that people and machines can read."""

import io
import json
import logging
import re
import threading
from datetime import datetime

import httpx
import pytest
import structlog

from exporter import logs
from exporter.logs import dropped_lines, flush_logs, set_up_logs

PAIR = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: |$)')


def parse_logfmt(line):
    """Read one line, and refuse what is left over."""
    pairs = PAIR.findall(line)
    assert PAIR.sub("", line) == ""
    return {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}


@pytest.fixture(autouse=True)
def restored_logging():
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {
        name: logger.level
        for name, logger in root.manager.loggerDict.items()
        if hasattr(logger, "level")
    }
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
    structlog.reset_defaults()


def lines_of(level, style, say):
    stream = io.StringIO()
    set_up_logs(level, style, stream=stream)
    say()
    flush_logs()
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(("style", "parse"), [("logfmt", parse_logfmt), ("json", json.loads)])
def test_a_line_holds_time_level_message_and_fields(style, parse):
    (line,) = lines_of(
        "info",
        style,
        lambda: structlog.get_logger().bind(account="main").info("refresh succeeded", keys=7),
    )
    fields = parse(line)

    assert list(fields)[:3] == ["ts", "level", "msg"] or style == "json"
    assert datetime.fromisoformat(fields.pop("ts")).utcoffset().total_seconds() == 0
    assert {key: str(value) for key, value in fields.items()} == {
        "level": "info",
        "msg": "refresh succeeded",
        "account": "main",
        "keys": "7",
    }


@pytest.mark.parametrize(
    "text", ['a "b"', "two words", "a=b", "line\nbreak", "ключ 🔑", "", "back\\slash"]
)
@pytest.mark.parametrize(("style", "parse"), [("logfmt", parse_logfmt), ("json", json.loads)])
def test_any_text_stays_on_one_line_that_parses(style, parse, text):
    (line,) = lines_of(
        "info", style, lambda: structlog.get_logger().warning("it happened", detail=text)
    )

    read = parse(line)["detail"]
    assert text in {read, read.replace("\\n", "\n"), read.replace("\\\\", "\\")}


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_left_out(level, said):
    def say():
        for each in ("debug", "info", "warning", "error"):
            getattr(structlog.get_logger(), each)("said", which=each)

    assert [parse_logfmt(line)["which"] for line in lines_of(level, "logfmt", say)] == said


@pytest.mark.parametrize(
    "name",
    ["httpx", "httpcore.connection", "httpcore.http11", "asyncio", "stamina", "uvicorn.access"],
)
def test_libraries_that_tell_what_they_send_are_quiet_even_at_debug(name):
    def say():
        logging.getLogger(name).debug("Authorization: CANARY")
        logging.getLogger(name).info("HTTP Request: GET CANARY")

    assert lines_of("debug", "logfmt", say) == []


def test_a_real_request_says_nothing_at_debug():
    def say():
        transport = httpx.MockTransport(lambda _: httpx.Response(200))
        with httpx.Client(transport=transport) as client:
            client.get("http://localhost/CANARY", headers={"Authorization": "CANARY"})

    assert lines_of("debug", "logfmt", say) == []


def test_the_server_is_heard_only_when_something_is_broken():
    def say():
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        logging.getLogger("asyncio").warning("socket.send() raised exception.")
        logging.getLogger("uvicorn.error").error("it broke")

    assert [parse_logfmt(line)["msg"] for line in lines_of("debug", "logfmt", say)] == ["it broke"]


@pytest.mark.parametrize(("style", "parse"), [("logfmt", parse_logfmt), ("json", json.loads)])
def test_a_librarys_warning_comes_out_in_the_same_form(style, parse):
    (line,) = lines_of(
        "info", style, lambda: logging.getLogger("some.library").warning("it is %s", "odd")
    )
    fields = parse(line)

    assert (fields["level"], fields["msg"], fields["logger"]) == (
        "warning",
        "it is odd",
        "some.library",
    )
    assert datetime.fromisoformat(fields["ts"])


@pytest.mark.parametrize(("style", "parse"), [("logfmt", parse_logfmt), ("json", json.loads)])
def test_a_librarys_exception_is_one_line_without_the_values_of_its_variables(style, parse):
    def say():
        canary = "CANARY" + "token"
        try:
            canary.index("x")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("it broke")

    (line,) = lines_of("info", style, say)

    assert parse(line)["msg"] == "it broke"
    assert "ValueError: substring not found" in parse(line)["exception"]
    assert "in say" in parse(line)["exception"]
    assert "CANARYtoken" not in line


def test_setting_up_again_does_not_say_everything_twice():
    first = io.StringIO()
    set_up_logs("info", "logfmt", stream=first)

    assert len(lines_of("info", "logfmt", lambda: logging.getLogger("x").warning("once"))) == 1
    assert first.getvalue() == ""


class Broken(io.StringIO):
    def write(self, _):
        raise BrokenPipeError


def test_lines_that_cannot_be_written_are_counted_and_raise_nothing(capsys):
    set_up_logs("info", "logfmt", stream=Broken())
    for _ in range(3):
        structlog.get_logger().warning("it happened")
    flush_logs()

    assert dropped_lines() == 3
    assert capsys.readouterr() == ("", "")


class Stuck(io.StringIO):
    """A stream that takes nothing until it is released, as a pipe that is full."""

    def __init__(self):
        super().__init__()
        self.is_free = threading.Event()

    def write(self, text):
        self.is_free.wait(10)
        return super().write(text)


def test_lines_that_do_not_fit_are_counted_and_nothing_waits_for_them():
    """One is being written, a thousand wait, a hundred are dropped; the end waits for none of them."""
    stream = Stuck()
    set_up_logs("info", "logfmt", stream=stream)
    structlog.get_logger().warning("it happened", number=0)
    while not logs._output.lines.empty():
        pass
    for number in range(1, 1101):
        structlog.get_logger().warning("it happened", number=number)
    flush_logs(0)
    assert dropped_lines() == 100

    stream.is_free.set()
    flush_logs(10)
    assert [parse_logfmt(line)["number"] for line in stream.getvalue().splitlines()] == [
        str(number) for number in range(1001)
    ]


def test_a_line_that_cannot_be_formatted_is_counted(capsys):
    set_up_logs("info", "logfmt", stream=io.StringIO())
    logging.getLogger("some.library").warning("%d", "no number")
    flush_logs()

    assert dropped_lines() == 1
    assert capsys.readouterr() == ("", "")
