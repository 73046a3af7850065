"""scripts/release.py: what may be released, under which tags, with which chart."""

import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + 64 * "a"
CHANGELOG = """# Changelog

## 1.2.3 (2027-01-02)

### Security

- It's safer.

## 1.2.2 (2026-12-01)

- Older.
"""


@pytest.fixture(scope="module")
def release() -> SimpleNamespace:
    """Load scripts/release.py."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "scripts/release.py")))


@pytest.fixture
def tree(release: SimpleNamespace, tmp_path: Path) -> Path:
    """Return a copy of the files that name versions, all set to 1.2.3, ready for its release."""
    places = {place.split()[0] for place in release.VERSIONS} | {
        "deploy/helm/cometapi-exporter/values.yaml"
    }
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / place, tmp_path / place)
    release.set_version(tmp_path, "1.2.3")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (tmp_path / "changelog.d").mkdir()
    return tmp_path


def test_every_file_of_this_tree_names_the_same_version(release):
    assert release.problems(ROOT, None) == []


CHART = "deploy/helm/cometapi-exporter/Chart.yaml"


@pytest.mark.parametrize(
    ("tag", "change", "problems"),
    [
        ("v1.2.3", lambda *_: None, []),
        ("v1.2.4", lambda *_: None, ["the tag is v1.2.4, the version 1.2.3"]),
        (
            "v1.2.3",
            lambda tree, _: replace(tree / CHART, "\nversion: 1.2.3", "\nversion: 1.2.2"),
            [f"{CHART} version names 1.2.2, not 1.2.3"],
        ),
        (
            "v1.3.0",
            lambda tree, release: release.set_version(tree, "1.3.0"),
            ["CHANGELOG.md has no section 1.3.0: run make changelog"],
        ),
        (
            "v1.2.3",
            lambda tree, _: (tree / "changelog.d/+more.added.md").write_text("More."),
            ["changelog.d/+more.added.md is not in CHANGELOG.md"],
        ),
    ],
    ids=[
        "nothing",
        "another tag",
        "a chart of another version",
        "no changelog",
        "a fragment that is left",
    ],
)
def test_what_disagrees_with_a_release_is_named(release, tree, tag, change, problems):
    change(tree, release)

    assert release.problems(tree, tag) == problems


def replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "tags"),
    [
        ("1.2.3", ["1.2.3", "1.2", "1", "latest"]),
        ("0.2.0", ["0.2.0", "0.2", "latest"]),
        ("1.3.0rc1", ["1.3.0rc1"]),
    ],
)
def test_a_prerelease_moves_no_tag_that_people_follow(release, version, tags):
    assert release.image_tags(version) == tags


def test_the_notes_are_the_versions_own_section(release, tree):
    assert release.changes(tree, "1.2.3") == "### Security\n\n- It's safer."


def test_the_published_chart_names_the_image_by_digest_and_says_what_changed(release, tree):
    release.prepare_chart(tree, "ghcr.io/example/cometapi-exporter", DIGEST)
    folder = tree / "deploy/helm/cometapi-exporter"
    image = yaml.safe_load((folder / "values.yaml").read_text())["image"]
    notes = yaml.safe_load((folder / "Chart.yaml").read_text())["annotations"]

    assert (image["repository"], image["digest"]) == ("ghcr.io/example/cometapi-exporter", DIGEST)
    assert notes["artifacthub.io/prerelease"] == "false"
    assert notes["artifacthub.io/containsSecurityUpdates"] == "true"
    assert yaml.safe_load(notes["artifacthub.io/changes"]) == ["It's safer."]
    assert yaml.safe_load(notes["artifacthub.io/images"]) == [
        {"name": "exporter", "image": f"ghcr.io/example/cometapi-exporter@{DIGEST}"}
    ]
