"""List every option once: flag, variable, default, help and how its text is read.

Knows no environment, no file, no click. The table feeds the command line, `--help`, the messages about wrong settings
and the generated documents, so that none of them can disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporter.logs import FORMATS, LEVELS
from exporter.parsers import (
    one_of,
    parse_base_url,
    parse_concurrency,
    parse_path,
    parse_positive_duration,
    parse_positive_number,
    parse_switch,
    parse_url_path,
    parse_whole_number,
)
from exporter.server.listen import parse_listen_address

TOKEN_VARIABLE = "COMETAPI_ACCESS_TOKEN"  # noqa: S105 - the variable's name, not a token


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option; *key* is its name in the YAML file and among the parsed values, *default* a text as one writes it."""

    key: str
    flag: str
    variable: str
    help: str
    section: str
    parse: Callable[[str], Any]
    default: str | None = None
    metavar: str = "TEXT"
    repeatable: bool = False
    is_switch: bool = False

    @property
    def where(self) -> str:
        """How messages name the option."""
        return f"{self.flag} ({self.variable})"


COMETAPI, COLLECT, WEB, LOG = "The gateway", "Collecting", "Serving", "Logging"

OPTIONS = (
    Option(
        key="access_token_file",
        flag="--cometapi.access-token-file",
        variable="COMETAPI_ACCESS_TOKEN_FILE",
        help=f"File that holds the personal access token, read anew each refresh. Or set {TOKEN_VARIABLE}.",
        section=COMETAPI,
        parse=parse_path,
        metavar="FILE",
    ),
    Option(
        key="base_url",
        flag="--cometapi.base-url",
        variable="COMETAPI_BASE_URL",
        help="Address of the gateway; a trailing /v1 is dropped.",
        section=COMETAPI,
        parse=parse_base_url,
        default="https://api.cometapi.com",
        metavar="URL",
    ),
    Option(
        key="user_id",
        flag="--cometapi.user-id",
        variable="COMETAPI_USER_ID",
        help="Numeric user id, sent as New-Api-User: self-hosted gateways want it.",
        section=COMETAPI,
        parse=parse_whole_number,
        metavar="NUMBER",
    ),
    Option(
        key="quota_per_usd",
        flag="--cometapi.quota-per-usd",
        variable="COMETAPI_QUOTA_PER_USD",
        help="How many quota units are one US dollar.",
        section=COMETAPI,
        parse=parse_positive_number,
        default="500000",
        metavar="NUMBER",
    ),
    Option(
        key="ca_file",
        flag="--cometapi.ca-file",
        variable="COMETAPI_CA_FILE",
        help="PEM file with the certificate authorities to trust instead of the usual ones.",
        section=COMETAPI,
        parse=parse_path,
        metavar="FILE",
    ),
    Option(
        key="allow_insecure_http",
        flag="--cometapi.allow-insecure-http",
        variable="COMETAPI_ALLOW_INSECURE_HTTP",
        help="Send the token over plain http to another machine, where it can be read on the way.",
        section=COMETAPI,
        parse=parse_switch,
        default="false",
        is_switch=True,
    ),
    Option(
        key="config_file",
        flag="--config.file",
        variable="COMETAPI_EXPORTER_CONFIG_FILE",
        help="YAML file with several accounts.",
        section=COMETAPI,
        parse=parse_path,
        metavar="FILE",
    ),
    Option(
        key="interval",
        flag="--collect.interval",
        variable="COMETAPI_EXPORTER_INTERVAL",
        help="Time between the starts of two refreshes of an account.",
        section=COLLECT,
        parse=parse_positive_duration,
        default="60s",
        metavar="DURATION",
    ),
    Option(
        key="timeout",
        flag="--collect.timeout",
        variable="COMETAPI_EXPORTER_TIMEOUT",
        help="Deadline for one whole request to the API.",
        section=COLLECT,
        parse=parse_positive_duration,
        default="10s",
        metavar="DURATION",
    ),
    Option(
        key="stale_after",
        flag="--collect.stale-after",
        variable="COMETAPI_EXPORTER_STALE_AFTER",
        help="Age past which data that cannot be refreshed is withdrawn.",
        section=COLLECT,
        parse=parse_positive_duration,
        default="1h",
        metavar="DURATION",
    ),
    Option(
        key="concurrency",
        flag="--collect.concurrency",
        variable="COMETAPI_EXPORTER_CONCURRENCY",
        help="Pages of one account that are read at a time.",
        section=COLLECT,
        parse=parse_concurrency,
        default="4",
        metavar="NUMBER",
    ),
    Option(
        key="max_requests_per_minute",
        flag="--collect.max-requests-per-minute",
        variable="COMETAPI_EXPORTER_MAX_REQUESTS_PER_MINUTE",
        help="Most requests to one host in any minute, shared by its accounts.",
        section=COLLECT,
        parse=parse_whole_number,
        default="60",
        metavar="NUMBER",
    ),
    Option(
        key="listen_address",
        flag="--web.listen-address",
        variable="COMETAPI_EXPORTER_LISTEN_ADDRESS",
        help="Address to serve on; may be given several times (in the variable: separated by commas).",
        section=WEB,
        parse=parse_listen_address,
        default=":10144",
        metavar="ADDRESS",
        repeatable=True,
    ),
    Option(
        key="telemetry_path",
        flag="--web.telemetry-path",
        variable="COMETAPI_EXPORTER_TELEMETRY_PATH",
        help="Path of the metrics.",
        section=WEB,
        parse=parse_url_path,
        default="/metrics",
        metavar="PATH",
    ),
    Option(
        key="no_status_page",
        flag="--web.no-status-page",
        variable="COMETAPI_EXPORTER_NO_STATUS_PAGE",
        help="Serve neither the status page nor its data as JSON.",
        section=WEB,
        parse=parse_switch,
        default="false",
        is_switch=True,
    ),
    Option(
        key="web_config_file",
        flag="--web.config.file",
        variable="COMETAPI_EXPORTER_WEB_CONFIG_FILE",
        help="File with TLS and users, in the dialect of Prometheus' exporter toolkit.",
        section=WEB,
        parse=parse_path,
        metavar="FILE",
    ),
    Option(
        key="log_level",
        flag="--log.level",
        variable="COMETAPI_EXPORTER_LOG_LEVEL",
        help=f"Least severe level to log: {', '.join(LEVELS)}.",
        section=LOG,
        parse=one_of(LEVELS, {"warn": "warning"}),
        default="info",
        metavar="LEVEL",
    ),
    Option(
        key="log_format",
        flag="--log.format",
        variable="COMETAPI_EXPORTER_LOG_FORMAT",
        help=f"Form of the log lines: {' or '.join(FORMATS)}.",
        section=LOG,
        parse=one_of(FORMATS),
        default="logfmt",
        metavar="FORMAT",
    ),
)

BY_KEY = {option.key: option for option in OPTIONS}
