"""Write the rules that are committed in `rules/` from the templates in `templates/`.

Talks to: files of this folder only. The templates are the rules themselves, in YAML, with names in
`<< >>` for what must be the same in every rule. This file says what those names stand for.
"""

from pathlib import Path

import jinja2

FOLDER = Path(__file__).resolve().parent
NAMES = ("records.yml", "alerts.yml")
RUNBOOKS = "https://github.com/cometapi-exporter/cometapi-exporter/blob/main/docs/runbooks.md"

HEADER = "# Written by deploy/prometheus/build.py from templates/{name}: change that, run `make docs`.\n#\n"

REPLICA_LABELS = ("instance", "pod")
"""Labels in which replicas of one exporter differ. Every other label keeps exporters apart."""

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


def usd_of_key(series: str) -> str:
    """Write the dollars of *series*, a recorded series with one value a key."""
    selector = f"{series}{{job=%q,account=%q,key_id=%q}}"
    query = f'printf "{selector}" $labels.job $labels.account $labels.key_id | query'
    dollars = '${{ . | first | value | printf "%.2f" }}'
    return f"{{{{ with {query} }}}}{dollars}{{{{ else }}}}an unknown amount{{{{ end }}}}"


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
    }
    rules = FOLDER / "rules"
    return {
        rules / name: HEADER.format(name=name) + environment.get_template(name).render()
        for name in NAMES
    }


if __name__ == "__main__":
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")
