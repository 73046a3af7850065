"""What a tired person is told to do is safe to follow: advice that can do harm names its condition.

To top up pays a thief if the key has leaked; to delete, disable, enable, revoke or restart breaks
what others rely on. Whether it is right depends on what the exporter cannot know, so that the
sentence says when it is.
"""

import re
from pathlib import Path

import pytest
import yaml

from exporter.check import UNUSABLE
from exporter.errors import Reason

ROOT = Path(__file__).resolve().parents[2]
HARMFUL = re.compile(
    r"\b(top (it|them|these keys) up|top up|enable it|delete|disable|revoke|regenerate|generate a"
    r"|create (a new|another)|(?<!a )restart|raise the quota|--shards\.total)\b",
    re.IGNORECASE,
)
CONDITION = re.compile(
    r"\b(if|only|unless|while|do not|until|before you|systemd and Kubernetes)\b", re.IGNORECASE
)


def sentences_of(text: str) -> list[str]:
    """Return the sentences of *text*, without code blocks and without what templates fill in."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}", "", text, flags=re.DOTALL)
    return re.split(r"(?<=[.?!])\s+|\n|\|", text)


def unsafe_in(text: str) -> list[str]:
    """Return each sentence of *text* that can do harm and does not say when it is right."""
    return [
        sentence
        for sentence in sentences_of(text)
        if HARMFUL.search(sentence) and not CONDITION.search(sentence)
    ]


def descriptions() -> dict[str, str]:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules/alerts.yml").read_text("utf-8"))
    return {
        rule["alert"]: rule["annotations"]["description"]
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


@pytest.mark.parametrize("text", descriptions().values(), ids=descriptions())
def test_an_alert_advises_nothing_harmful_without_its_condition(text):
    assert unsafe_in(text) == []


@pytest.mark.parametrize("document", ["runbooks.md", "troubleshooting.md"])
def test_a_document_advises_nothing_harmful_without_its_condition(document):
    assert unsafe_in((ROOT / "docs" / document).read_text("utf-8")) == []


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_advises_nothing_harmful_without_its_condition(reason):
    assert unsafe_in(reason.advice) == []


@pytest.mark.parametrize(
    ("text", "is_safe"),
    [
        ("Something is wrong. Top it up now, or find out why.", False),
        ("Enable it again, or give its users another key.", False),
        ("Delete unused keys. If you can, wait.", False),
        ("If its users need it, top it up.", True),
        ("It was disabled, deleted and restarted.", True),
    ],
)
def test_advice_is_safe_if_its_own_sentence_has_a_condition(text, is_safe):
    assert (unsafe_in(text) == []) is is_safe


def test_check_advises_nothing_harmful_about_keys_without_its_condition():
    assert [advice for _, advice in UNUSABLE.values() if unsafe_in(advice)] == []
