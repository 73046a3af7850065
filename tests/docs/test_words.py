"""The words that users read: one word for one thing, and plain English.

Documents are read without their code; of the program, every string that is no docstring.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("deploy/**/*.md")),
]
TEXTS = [
    ROOT / "deploy/helm/cometapi-exporter/values.yaml",
    ROOT / "deploy/prometheus/templates/alerts.yml",
    ROOT / "deploy/alertmanager/alertmanager.yml",
    *sorted((ROOT / "exporter/site/templates").glob("*.html")),
]
PROGRAMS = [
    *sorted((ROOT / "exporter").rglob("*.py")),
    *sorted((ROOT / "deploy/grafana/cometapi_grafana").rglob("*.py")),
]

# Each pattern, and what to write instead.
FORBIDDEN = {
    r"accounts file|file of accounts": "configuration file",
    r"\bbelongs? into\b": "belongs in",
    r"\banswers? \d|\bthe answer is \d": "returns, responds with",
    r"\b(endpoint|gateway|server|exporter|page)s? answers?\b": "returns, responds with",
    r"\bmend(s|ed)?\b": "fix",
    r"\banew\b": "again",
    r"\bwhoever\b": "anyone who",
    r"\bvisitors?\b": "client",
    r"\b(lobby|doorkeeper)\b": "the technical word",
    r"\bbeg[ia]ns? again\b|\bstarts? again\b": "restarts, is reset",
    r"\bwhatever\b": "regardless of",
    r"\bas a whole\b": "entirely, fully",
    r"\bmeanwhile\b": "in the meantime",
    r"\blikewise\b": "too",
    r"\bby itself\b": "on its own",
    r"\busual requests?\b": "typical request",
    r"\b(are|is|was|were) refused\b": "rejected",
    r"\bwithdrawn\b": "no longer exposed",
    r"\d %(?![}-])(?=[ .,;|)]|$)": "no blank before the percent sign",
    r"\bunknown keys\b": "unknown settings",
    r"\bat the most\b": "at most",
    r"\bburn rates?\b": "spending rate",
    r"\busual price\b": "typical price",
    r"\bknows? of\b": "has",
    r"\blengthen(s|ed)?\b": "increase",
    r"\bfolders?\b": "directory",
    r"\b(hence|namely|thereby)\b": "so",
    r"\b(gateway|exporter)s? (that )?(is|are|was|were) away\b": "does not respond",
    r"\bwhere (there (is|are)|you (can|want|have))\b": "if",
}
FORBIDDEN_IN_DOCUMENTS = {
    r"\bweb config\b": "web configuration file",
    # A clause in place of a noun. Questions, and the heading of the runbooks, are none.
    r"(?<![*\w])(?-i:What) [a-z][^.?!|\n]*\.(?!\w)": "the noun first",
}

NOTHING_MORE: Mapping[str, str] = {}

# A sentence that begins with a clause in place of a noun: "What goes is first deprecated."
HEADLESS = re.compile(
    r"(?:^|[.:|] )(?:What|Where|Who) (?!it means)[a-z' ]{2,40}? (?:is|are|was|were|goes|comes|has)\b"
    r"[^?\n]*[.|]",
    re.MULTILINE,
)

# The sentences in which such a word is right.
ALLOWED = (
    "In the meantime",
    "Connection refused",
    "connection refused",
    "connection is refused",
    "for the account as a whole",
    "grafana_folder",
    "folderAnnotation",
    "folder of the node exporter's textfile collector",
)


def prose_of(path: Path) -> str:
    """Return a document without its code."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`", "`code`", text)


def strings_of(path: Path) -> Iterator[str]:
    """Yield each string of a program that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    docstrings = {id(value) for value in statements}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.value


def forbidden_in(text: str, more: Mapping[str, str] = NOTHING_MORE) -> list[str]:
    """Return each forbidden phrase of *text* with its surroundings, and what to write instead."""
    for allowed in ALLOWED:
        text = text.replace(allowed, "")
    return [
        f"{text[max(0, found.start() - 40) : found.end() + 20]!r}: write {instead}"
        for pattern, instead in {**FORBIDDEN, **more}.items()
        for found in re.finditer(pattern, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_has_no_forbidden_word(path):
    assert forbidden_in(prose_of(path), FORBIDDEN_IN_DOCUMENTS) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_of_a_document_begins_with_a_headless_clause(path):
    assert HEADLESS.findall(prose_of(path)) == []


def test_a_headless_clause_is_found_and_a_question_is_not():
    assert HEADLESS.findall("Ready. What would be ignored is an error.") != []
    assert HEADLESS.findall("Which keys? What is left? Where is it?") == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_text_for_users_has_no_forbidden_word(path):
    assert forbidden_in(path.read_text(encoding="utf-8")) == []


def test_no_message_of_a_program_has_a_forbidden_word():
    found = [
        f"{path.relative_to(ROOT)}: {problem}"
        for path in PROGRAMS
        for text in strings_of(path)
        for problem in forbidden_in(text)
    ]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "the accounts file",
        "`/metrics` answers 503",
        "It is 10 % of",
        "everything begins again",
        "It takes 5 s at the most",
        "What could not be read breaks no policy.",
        "Open it where there is a browser",
    ],
)
def test_a_forbidden_word_is_found(text):
    assert len(forbidden_in(text, FORBIDDEN_IN_DOCUMENTS)) == 1


@pytest.mark.parametrize(
    "text", ["**What it means.** The key", "What is left? Ask.", "| What | How |"]
)
def test_a_question_and_a_heading_are_no_clause(text):
    assert forbidden_in(text, FORBIDDEN_IN_DOCUMENTS) == []
