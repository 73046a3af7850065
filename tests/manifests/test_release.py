"""scripts/release.py: what may be released, under which tags, with which chart."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

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
def release() -> ModuleType:
    """Load scripts/release.py."""
    spec = importlib.util.spec_from_file_location("release", ROOT / "scripts/release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(release: ModuleType, tmp_path: Path) -> Path:
    """Return a copy of the files that name versions, all set to 1.2.3, ready for its release."""
    places = {place.split()[0] for place in release.VERSIONS} | {"deploy/helm/cometapi-exporter/values.yaml"}
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / place, tmp_path / place)
    release.set_version(tmp_path, "1.2.3")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (tmp_path / "changelog.d").mkdir()
    return tmp_path


def test_every_file_of_this_tree_names_the_same_version(release):
    assert release.problems(ROOT, None) == []


def test_a_tree_whose_versions_and_changelog_agree_with_the_tag_can_be_released(release, tree):
    assert release.problems(tree, "v1.2.3") == []


def test_another_tag_is_refused(release, tree):
    assert release.problems(tree, "v1.2.4") == ["the tag is v1.2.4, the version 1.2.3"]


def test_a_chart_of_another_version_is_refused(release, tree):
    chart = tree / "deploy/helm/cometapi-exporter/Chart.yaml"
    chart.write_text(chart.read_text().replace("\nversion: 1.2.3", "\nversion: 1.2.2"))

    assert release.problems(tree, "v1.2.3") == [
        "deploy/helm/cometapi-exporter/Chart.yaml version names 1.2.2, not 1.2.3"
    ]


def test_a_version_that_the_changelog_does_not_have_is_refused(release, tree):
    release.set_version(tree, "1.3.0")

    assert release.problems(tree, "v1.3.0") == ["CHANGELOG.md has no section 1.3.0: run make changelog"]


def test_a_fragment_that_is_not_in_the_changelog_is_refused(release, tree):
    (tree / "changelog.d/+more.added.md").write_text("More.")

    assert release.problems(tree, "v1.2.3") == ["changelog.d/+more.added.md is not in CHANGELOG.md"]


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
