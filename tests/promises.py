"""What users were promised by name, written out by hand once; every test that checks a list of names reads it here."""

REASONS = (
    "unauthorized",
    "rate_limited",
    "server_error",
    "timeout",
    "unreachable",
    "rejected",
    "invalid_response",
    "inconsistent",
    "account_disabled",
    "too_many_keys",
    "blocked",
    "internal",
)

KEY = ("account", "key_id", "key_name", "group")
ACCOUNT = ("account",)
# Each metric family with its type and labels.
METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cometapi_key_remaining_quota": ("gauge", KEY),
    "cometapi_key_used_quota": ("gauge", KEY),
    "cometapi_key_unlimited_quota": ("gauge", KEY),
    "cometapi_key_expires_in_seconds": ("gauge", KEY),
    "cometapi_key_expiry_timestamp_seconds": ("gauge", KEY),
    "cometapi_key_status": ("gauge", KEY),
    "cometapi_key_usable": ("gauge", KEY),
    "cometapi_key_created_timestamp_seconds": ("gauge", KEY),
    "cometapi_key_last_used_timestamp_seconds": ("gauge", KEY),
    "cometapi_key_info": ("gauge", (*KEY, "model_limits", "ip_allowlist", "cross_group_retry")),
    "cometapi_key_low_quota_threshold": ("gauge", KEY),
    "cometapi_key_expiry_warning_threshold_seconds": ("gauge", KEY),
    "cometapi_key_daily_budget_quota": ("gauge", KEY),
    "cometapi_key_monthly_budget_quota": ("gauge", KEY),
    "cometapi_keys": ("gauge", ("account", "group", "status")),
    "cometapi_keys_usable": ("gauge", ("account", "group")),
    "cometapi_keys_unusable": ("gauge", ("account", "group", "reason")),
    "cometapi_account_remaining_quota": ("gauge", ACCOUNT),
    "cometapi_account_used_quota": ("gauge", ACCOUNT),
    "cometapi_account_requests_total": ("counter", ACCOUNT),
    "cometapi_account_spendable_quota": ("gauge", ACCOUNT),
    "cometapi_account_largest_purse_quota": ("gauge", ACCOUNT),
    "cometapi_account_subscription_remaining_quota": ("gauge", ACCOUNT),
    "cometapi_account_subscription_end_timestamp_seconds": ("gauge", ACCOUNT),
    "cometapi_account_subscription_reset_timestamp_seconds": ("gauge", ACCOUNT),
    "cometapi_account_monthly_budget_quota": ("gauge", ACCOUNT),
    "cometapi_group_price_factor": ("gauge", ("account", "group")),
    "cometapi_gateway_info": ("gauge", ("account", "version")),
    "cometapi_gateway_clock_skew_seconds": ("gauge", ACCOUNT),
    "cometapi_quota_units_per_usd": ("gauge", ACCOUNT),
    "cometapi_up": ("gauge", ACCOUNT),
    "cometapi_exporter_last_success_timestamp_seconds": ("gauge", ACCOUNT),
    "cometapi_exporter_refresh_interval_seconds": ("gauge", ACCOUNT),
    "cometapi_exporter_skipped_keys": ("gauge", ACCOUNT),
    "cometapi_exporter_excluded_keys": ("gauge", ACCOUNT),
    "cometapi_exporter_api_up": ("gauge", ("account", "path")),
    "cometapi_exporter_refreshes_total": ("counter", ACCOUNT),
    "cometapi_exporter_refresh_failures_total": ("counter", ("account", "reason")),
    "cometapi_usage_quota_total": ("counter", ("account", "model", "key_id", "key_name", "group")),
    "cometapi_usage_tokens_total": ("counter", ("account", "model", "key_id", "key_name", "group")),
    "cometapi_usage_requests_total": (
        "counter",
        ("account", "model", "key_id", "key_name", "group"),
    ),
    "cometapi_usage_month_quota": ("gauge", ("account", "model", "key_id", "key_name", "group")),
    "cometapi_exporter_usage_folded_series": ("gauge", ACCOUNT),
    "cometapi_exporter_shards": ("gauge", ()),
    "cometapi_exporter_shard_index": ("gauge", ()),
    "cometapi_exporter_accounts": ("gauge", ()),
    "cometapi_exporter_refresh_duration_seconds": ("histogram", ACCOUNT),
    "cometapi_exporter_api_requests_total": ("counter", ("account", "path", "code")),
    "cometapi_exporter_config_last_reload_successful": ("gauge", ()),
    "cometapi_exporter_config_last_reload_success_timestamp_seconds": ("gauge", ()),
    "cometapi_exporter_log_lines_dropped_total": ("counter", ()),
    "cometapi_exporter_build_info": ("gauge", ("version", "python_version")),
}
# The names of their series, as queries know them.
SERIES = {
    f"{name}{part}"
    for name, (kind, _) in METRICS.items()
    for part in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
}
FLAGS = {
    "--cometapi.access-token-file": ("COMETAPI_ACCESS_TOKEN_FILE", None),
    "--cometapi.base-url": ("COMETAPI_BASE_URL", "https://api.cometapi.com"),
    "--cometapi.account-name": ("COMETAPI_ACCOUNT_NAME", "default"),
    "--cometapi.user-id": ("COMETAPI_USER_ID", None),
    "--cometapi.quota-per-usd": ("COMETAPI_QUOTA_PER_USD", None),
    "--cometapi.ca-file": ("COMETAPI_CA_FILE", None),
    "--cometapi.allow-insecure-http": ("COMETAPI_ALLOW_INSECURE_HTTP", "false"),
    "--config.file": ("COMETAPI_EXPORTER_CONFIG_FILE", None),
    "--config.auto-reload-interval": ("COMETAPI_EXPORTER_AUTO_RELOAD_INTERVAL", "0s"),
    "--collect.interval": ("COMETAPI_EXPORTER_INTERVAL", "60s"),
    "--collect.timeout": ("COMETAPI_EXPORTER_TIMEOUT", "10s"),
    "--collect.stale-after": ("COMETAPI_EXPORTER_STALE_AFTER", "1h"),
    "--collect.concurrency": ("COMETAPI_EXPORTER_CONCURRENCY", "4"),
    "--collect.max-requests-per-minute": ("COMETAPI_EXPORTER_MAX_REQUESTS_PER_MINUTE", "50"),
    "--collect.usage": ("COMETAPI_EXPORTER_USAGE", "model"),
    "--collect.usage-max-series": ("COMETAPI_EXPORTER_USAGE_MAX_SERIES", "2000"),
    "--keys.max": ("COMETAPI_EXPORTER_KEYS_MAX", "100000"),
    "--keys.include": ("COMETAPI_EXPORTER_KEYS_INCLUDE", None),
    "--keys.exclude": ("COMETAPI_EXPORTER_KEYS_EXCLUDE", None),
    "--keys.counts-only": ("COMETAPI_EXPORTER_KEYS_COUNTS_ONLY", "false"),
    "--shards.total": ("COMETAPI_EXPORTER_SHARDS_TOTAL", "1"),
    "--shards.index": ("COMETAPI_EXPORTER_SHARDS_INDEX", "0"),
    "--web.listen-address": ("COMETAPI_EXPORTER_LISTEN_ADDRESS", ":10144"),
    "--web.telemetry-path": ("COMETAPI_EXPORTER_TELEMETRY_PATH", "/metrics"),
    "--web.no-status-page": ("COMETAPI_EXPORTER_NO_STATUS_PAGE", "false"),
    "--web.config.file": ("COMETAPI_EXPORTER_WEB_CONFIG_FILE", None),
    "--web.enable-lifecycle": ("COMETAPI_EXPORTER_ENABLE_LIFECYCLE", "false"),
    "--probe.listen-address": ("COMETAPI_EXPORTER_PROBE_LISTEN_ADDRESS", None),
    "--log.level": ("COMETAPI_EXPORTER_LOG_LEVEL", "info"),
    "--log.format": ("COMETAPI_EXPORTER_LOG_FORMAT", "logfmt"),
}
"""Each flag that sets something, with its variable and its default."""

VARIABLES = ("COMETAPI_ACCESS_TOKEN", *(variable for variable, _ in FLAGS.values()))
MODES = ("--demo", "--once", "--check", "--config.check", "--version", "--help")
