"""Answer the release workflow's questions, so that they can be tested.

python scripts/release.py verify [TAG]          exit 1 unless all versions, and the tag, are the
same python scripts/release.py set VERSION           write another version into every file that
names it python scripts/release.py tags                  the tags of the image, one a line python
scripts/release.py notes                 the notes of the release: the changelog's section and how
to verify python scripts/release.py chart IMAGE DIGEST    write the image and the changes into the
chart, before it is packaged

Talks to: files of the tree. Knows no network and no credentials.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHART = Path("deploy/helm/cometapi-exporter")
VERSIONS = {
    "exporter/__init__.py": r'^__version__ = "(.+)"$',
    f"{CHART}/Chart.yaml version": r"^version: (.+)$",
    f"{CHART}/Chart.yaml appVersion": r"^appVersion: (.+)$",
    "deploy/kubernetes/exporter/deployment.yaml": r"image: cometapi-exporter:(.+)$",
    "deploy/kubernetes/exporter/kustomization.yaml": r"app.kubernetes.io/version: (.+)$",
    "deploy/kubernetes/monitoring/kustomization.yaml": r"app.kubernetes.io/version: (.+)$",
    "deploy/compose/compose.yaml": r"image: cometapi-exporter:(.+)$",
    "deploy/compose/compose.yaml VERSION": r"VERSION: (.+) }$",
}
NOTES = """{changes}

## Verify

The wheel, the image and the chart are signed: see [docs/verify.md]({docs}/verify.md).
Compatibility and upgrades: see [docs/index.md]({docs}/index.md).
"""


def versions(root: Path) -> dict[str, str]:
    """Return the version that each file names."""
    return {place: _found(root / place.split()[0], pattern) for place, pattern in VERSIONS.items()}


def _found(path: Path, pattern: str) -> str:
    match = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else "none"


def set_version(root: Path, version: str) -> None:
    """Write *version* into every file that names one."""
    for place, pattern in VERSIONS.items():
        path = root / place.split()[0]
        text = path.read_text(encoding="utf-8")
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            path.write_text(
                text[: match.start(1)] + version + text[match.end(1) :], encoding="utf-8"
            )


def problems(root: Path, tag: str | None) -> list[str]:
    """Return why the tree cannot be released as *tag*.

    Without a tag only whether its versions agree.
    """
    named = versions(root)
    version = named["exporter/__init__.py"]
    wrong = [
        f"{place} names {other}, not {version}"
        for place, other in named.items()
        if other != version
    ]
    if tag is None:
        return wrong
    if tag != f"v{version}":
        wrong.append(f"the tag is {tag}, the version {version}")
    if not changes(root, version):
        wrong.append(f"CHANGELOG.md has no section {version}: run make changelog")
    left = sorted(path.name for path in (root / "changelog.d").glob("*.md"))
    return wrong + [f"changelog.d/{name} is not in CHANGELOG.md" for name in left]


def changes(root: Path, version: str) -> str:
    """Return the changelog's section of *version*."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    match = re.search(
        rf"^## {re.escape(version)} .*?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return match[1].strip() if match else ""


def image_tags(version: str) -> list[str]:
    """Return the tags of an image; a pre-release moves none of those that people follow."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [version]
    major, minor, _ = version.split(".")
    return [version, f"{major}.{minor}", *([major] if major != "0" else []), "latest"]


def prepare_chart(root: Path, image: str, digest: str) -> None:
    """Write the image by digest, and what Artifact Hub shows of this version, into the chart."""
    version = versions(root)["exporter/__init__.py"]
    values, chart = root / CHART / "values.yaml", root / CHART / "Chart.yaml"
    text = values.read_text(encoding="utf-8")
    text = re.sub(r"^(  repository:) \S+", rf"\1 {image}", text, flags=re.MULTILINE)
    text = re.sub(r'^(  digest:) ""', rf'\1 "{digest}"', text, flags=re.MULTILINE)
    values.write_text(text, encoding="utf-8")
    with chart.open("a", encoding="utf-8") as file:
        file.write(_annotations(version, f"{image}@{digest}", changes(root, version)))


def _annotations(version: str, image: str, section: str) -> str:
    entries = re.findall(r"^- (.+)$", section, re.MULTILINE)
    security, prerelease = "### Security" in section, "latest" not in image_tags(version)
    lines = [
        f'  artifacthub.io/prerelease: "{str(prerelease).lower()}"',
        f'  artifacthub.io/containsSecurityUpdates: "{str(security).lower()}"',
        f"  artifacthub.io/images: |\n    - name: exporter\n      image: {image}",
    ]
    if entries:
        lines.append("  artifacthub.io/changes: |")
        lines += [f"    - {_quoted(entry)}" for entry in entries]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def main(arguments: list[str]) -> int:
    """Answer one question; return the exit code."""
    version = versions(ROOT)["exporter/__init__.py"]
    match arguments:
        case ["verify", *tag]:
            found = problems(ROOT, tag[0] if tag else None)
            print("\n".join(found) or version)
            return 1 if found else 0
        case ["set", version]:
            set_version(ROOT, version)
        case ["tags"]:
            print("\n".join(image_tags(version)))
        case ["notes"]:
            docs = f"https://github.com/cometapi-exporter/cometapi-exporter/blob/v{version}/docs"
            print(NOTES.format(changes=changes(ROOT, version), docs=docs))
        case ["chart", image, digest]:
            prepare_chart(ROOT, image, digest)
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
