"""Write the rules that are committed in `rules/` from the templates in `templates/`.

Talks to: files of this directory only. The templates are the rules themselves, in YAML, with names in
`<< >>` for what must be the same in every rule. This file says what those names stand for.
"""

import re
from pathlib import Path

import jinja2

FOLDER = Path(__file__).resolve().parent
NAMES = ("records.yml", "alerts.yml")
RUNBOOKS = "https://github.com/cometapi-exporter/cometapi-exporter/blob/main/docs/runbooks.md"

HEADER = "# Written by deploy/prometheus/build.py from templates/{name}: change that, run `make docs`.\n#\n"

REPLICA_LABELS = (
    "instance",
    "pod",
    "node",
    "container",
    "replica",
    "pod_template_hash",
    "otel_scope_name",
    "otel_scope_version",
    "otel_scope_schema_url",
)
"""Labels in which replicas of one exporter differ. Every other label keeps exporters apart."""
KEY_LABELS = "key_id, key_name, group"
USAGE_LABELS = f"model, {KEY_LABELS}"
RESTRICTIONS = "model_limits, ip_allowlist, cross_group_retry"
BEHIND = "replica:cometapi_exporter_last_success_timestamp_seconds:behind"


def indented(text: str, by: int = 10) -> str:
    """Indent all lines but the first, by default as an expression of a rule."""
    return text.replace("\n", "\n" + by * " ")


THE_KEY = (
    'CometAPI key {{ with $labels.key_name }}"{{ . }}" {{ end }}({{ $labels.key_id }})'
    " of account {{ $labels.account }}"
)
THE_KEY_IN_FULL = (
    'Key {{ with $labels.key_name }}"{{ . }}"{{ else }}without a name{{ end }}'
    " (id {{ $labels.key_id }},"
    " {{ with $labels.group }}group {{ . }}{{ else }}no group{{ end }})"
    " of account {{ $labels.account }}"
)


OVERVIEW_DASHBOARD = (
    "/d/cometapi-overview{{ with $labels.account }}?var-account={{ urlquery . }}{{ end }}"
)
KEY_DASHBOARD = (
    "/d/cometapi-key?var-account={{ urlquery $labels.account }}&var-key={{ $labels.key_id }}"
)

RESTS_SINCE = """+ ignoring (key_name, group) group_left ()
key:cometapi_key_used_quota:last_growth_timestamp_seconds
  < ignoring (key_id, key_name, group) group_left ()
(
  account:cometapi_exporter_last_success_timestamp_seconds:max_1d
    - scalar(cometapi:threshold:dry_idle_seconds)
)
  unless key:cometapi_key_usable:newest == 0
  and key:cometapi_key_last_used_timestamp_seconds:newest
    > time() - scalar(cometapi:threshold:in_use_seconds)"""
"""Of usable keys in use that rest, the time of their last spending; follows `0 * (the keys)`.

To choose the few keys first, and not the many that rest, halves the price of the rule.
"""
RESTING_ACCOUNT = """account:cometapi_account_used_quota:last_growth_timestamp_seconds
  < account:cometapi_exporter_last_success_timestamp_seconds:max_1d
    - scalar(cometapi:threshold:dry_idle_seconds)
  and account:cometapi_key_last_used_timestamp_seconds:max
    > time() - scalar(cometapi:threshold:in_use_seconds)
  and account:cometapi_account_spendable_quota:max > 0"""


MONTH = "cometapi:month:remaining_seconds @ end()"
NOW = f"timestamp({MONTH})"
"""The time of the evaluation, also within a subquery, where time() is the time of its step."""
RECURRENCES = f"""scalar(
  floor(({NOW} + {MONTH} - time()) / 604800)
    - floor(({NOW} - time()) / 604800)
)"""
"""How often a step of a subquery comes again, week by week, until the month ends."""
KNOWN_HOURS = f"""sum_over_time(
  (
    (0 * count without ({", ".join(REPLICA_LABELS)}, {USAGE_LABELS}) (cometapi_usage_quota_total) + 1)
      * {indented(RECURRENCES, 6)}
  )[28d:1h]
)"""


def newest(series: str, own: str = "", drop: str = "") -> str:
    """Merge the replicas of *series*: of each account, the one that read last counts.

    *own* names the labels that the series has beside the account, *drop* those to sum up as well.
    """
    away = ", ".join([*REPLICA_LABELS, *([drop] if drop else [])])
    match = f" ignoring ({own})" if own else ""
    return f"max without ({away}) ({series} unless{match} {BEHIND})"


def held(series: str, own: str = "") -> str:
    """Keep the last value of the recorded *series* while nothing is known of its account."""
    match = f" ignoring ({own})" if own else ""
    return f"{series} and{match} account:cometapi_up:unknown"


def query_of(query: str, *labels: str, **fixed: str) -> str:
    """Write the pipeline of a text template that asks *query*, of which `{}` is the selector.

    The selector names the installation of the alert, those of its other labels in *labels*, and the
    labels in *fixed* with their values.
    """
    names = ("cluster", "namespace", "job", *labels)
    matchers = [f"{name}=%q" for name in names]
    matchers += [f"{name}='{value}'" for name, value in fixed.items()]
    selector = "{" + ",".join(matchers) + "}"
    values = " ".join(f"$labels.{name}" for name in names)
    return f'printf "{query.replace("{}", selector)}" {values} | query'


def usd_of_key(series: str) -> str:
    """Write the dollars of *series*, a recorded series with one value a key."""
    query = query_of(f"{series}{{}}", "account", "key_id")
    dollars = '${{ . | first | value | printf "%.2f" }}'
    return f"{{{{ with {query} }}}}{dollars}{{{{ else }}}}an unknown amount{{{{ end }}}}"


def usd_of_account(series: str) -> str:
    """Write the dollars of *series*, a recorded series with one value an account."""
    query = query_of(f"{series}{{}}", "account")
    dollars = '${{ . | first | value | printf "%.2f" }}'
    return f"{{{{ with {query} }}}}{dollars}{{{{ else }}}}an unknown amount{{{{ end }}}}"


def left_of_key() -> str:
    """Write what a key that cannot spend has left, and nothing if that is not known."""
    query = query_of("key:cometapi_key_spendable_quota:usd{}", "account", "key_id")
    dollars = '${{ . | first | value | printf "%.2f" }}'
    return f"{{{{ with {query} }}}} It has {dollars} left.{{{{ end }}}}"


def thresholds() -> list[str]:
    """Return the names of the thresholds that the template of the alerts records."""
    template = (FOLDER / "templates" / "alerts.yml").read_text(encoding="utf-8")
    return re.findall(r"- record: (cometapi:threshold:\w+)", template)


def outputs() -> dict[Path, str]:
    """Return the text of every rule file by its path."""
    # Prometheus's own templates use braces, hence the other delimiters.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        keep_trailing_newline=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is YAML
    )
    environment.globals |= {
        "replica": ", ".join(REPLICA_LABELS),
        "runbooks": RUNBOOKS,
        "the_key": THE_KEY,
        "the_key_in_full": THE_KEY_IN_FULL,
        "usd_of_key": usd_of_key,
        "usd_of_account": usd_of_account,
        "left_of_key": left_of_key(),
        "usage": USAGE_LABELS,
        "recurrences": indented(RECURRENCES, 16),
        "known_hours": indented(KNOWN_HOURS, 10),
        "key": KEY_LABELS,
        "restrictions": RESTRICTIONS,
        "newest": newest,
        "held": held,
        "query_of": query_of,
        "rests_since": indented(RESTS_SINCE),
        "resting_account": indented(RESTING_ACCOUNT),
        "largest_purse": "account:cometapi_account_largest_purse_quota:max",
        "key_dashboard": KEY_DASHBOARD,
        "overview": OVERVIEW_DASHBOARD,
        "thresholds": thresholds(),
    }
    rules = FOLDER / "rules"
    return {
        rules / name: HEADER.format(name=name) + environment.get_template(name).render()
        for name in NAMES
    }


if __name__ == "__main__":
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")
