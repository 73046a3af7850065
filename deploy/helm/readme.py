"""Generate the table of values in the chart's README from values.yaml and its comments.

Talks to: files of the chart only. A comment directly above a value, or behind it, is its
description.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

CHART = Path(__file__).parent / "cometapi-exporter"
MARKS = re.compile(r"(<!-- begin values -->\n).*?(<!-- end values -->)", re.DOTALL)


def rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and description of each value; sections with a description come as rows without a default."""
    yield from _rows_of(yaml.compose(text, Loader=yaml.SafeLoader), text.split("\n"), "")


def _rows_of(
    node: yaml.Node | None, lines: list[str], prefix: str
) -> Iterator[tuple[str, str, str]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name, description = f"{prefix}{key.value}", _description(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            if description:
                yield name, "", description
            yield from _rows_of(value, lines, f"{name}.")
        else:
            yield (
                name,
                json.dumps(yaml.safe_load(yaml.serialize(value)), ensure_ascii=False),
                description,
            )


def _description(lines: list[str], line: int) -> str:
    _, behind, comment = lines[line].partition(" # ")
    if behind:
        return comment
    above = line
    while lines[above - 1].lstrip().startswith("# "):
        above -= 1
    return " ".join(text.lstrip()[2:] for text in lines[above:line])


def table(found: Iterable[tuple[str, str, str]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {text} |"
        for name, default, text in found
    ]
    return "\n".join(["| Value | Default | Description |", "| --- | --- | --- |", *lines])


def outputs() -> dict[Path, str]:
    """Return the text of the README by its path."""
    path = CHART / "README.md"
    body = table(rows((CHART / "values.yaml").read_text(encoding="utf-8")))
    return {
        path: MARKS.sub(
            lambda marks: f"{marks[1]}{body}\n{marks[2]}", path.read_text(encoding="utf-8")
        )
    }


if __name__ == "__main__":
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")
