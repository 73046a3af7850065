"""The table of options: what users were promised, flag by flag."""

import pytest

from exporter.options import BY_KEY, OPTIONS, TOKEN_VARIABLE

PROMISED = {
    "--cometapi.access-token-file": ("COMETAPI_ACCESS_TOKEN_FILE", None),
    "--cometapi.base-url": ("COMETAPI_BASE_URL", "https://api.cometapi.com"),
    "--cometapi.user-id": ("COMETAPI_USER_ID", None),
    "--cometapi.quota-per-usd": ("COMETAPI_QUOTA_PER_USD", "500000"),
    "--cometapi.allow-insecure-http": ("COMETAPI_ALLOW_INSECURE_HTTP", "false"),
    "--config.file": ("COMETAPI_EXPORTER_CONFIG_FILE", None),
    "--collect.interval": ("COMETAPI_EXPORTER_INTERVAL", "60s"),
    "--collect.timeout": ("COMETAPI_EXPORTER_TIMEOUT", "10s"),
    "--collect.stale-after": ("COMETAPI_EXPORTER_STALE_AFTER", "1h"),
    "--collect.concurrency": ("COMETAPI_EXPORTER_CONCURRENCY", "4"),
    "--collect.max-requests-per-minute": ("COMETAPI_EXPORTER_MAX_REQUESTS_PER_MINUTE", "60"),
    "--web.listen-address": ("COMETAPI_EXPORTER_LISTEN_ADDRESS", ":10144"),
    "--web.telemetry-path": ("COMETAPI_EXPORTER_TELEMETRY_PATH", "/metrics"),
    "--web.config.file": ("COMETAPI_EXPORTER_WEB_CONFIG_FILE", None),
    "--log.level": ("COMETAPI_EXPORTER_LOG_LEVEL", "info"),
    "--log.format": ("COMETAPI_EXPORTER_LOG_FORMAT", "logfmt"),
}


@pytest.mark.parametrize("flag", PROMISED)
def test_an_option_has_the_promised_variable_and_default(flag):
    (option,) = [option for option in OPTIONS if option.flag == flag]

    assert (option.variable, option.default) == PROMISED[flag]


def test_no_flag_takes_the_token_itself():
    assert TOKEN_VARIABLE == "COMETAPI_ACCESS_TOKEN"
    assert TOKEN_VARIABLE not in {option.variable for option in OPTIONS}


def test_no_two_options_share_a_key_a_flag_or_a_variable():
    for name in ("key", "flag", "variable"):
        assert len({getattr(option, name) for option in OPTIONS}) == len(OPTIONS) == len(BY_KEY)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_an_option_explains_itself_and_its_default_is_right(option):
    assert option.help.endswith(".")
    assert option.where == f"{option.flag} ({option.variable})"
    assert option.default is None or option.parse(option.default) is not None
