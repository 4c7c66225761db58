"""Links between pages lead somewhere, and so does every path below docs/ that code or a message names."""

import os
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
MENTION = re.compile(r"\bdocs/[\w./-]+\.(?:md|json|webp|py)\b")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SOURCE_PATH = re.compile(
    r"(?<![\w/.])(?:benchmarks|bridge|cli|edge|leaks|monitoring|profiling|setup|systemd|tasks|tests|web|workers)/[\w./-]+\.\w+"
)
MODULE = re.compile(r"\bpython -m ((?:benchmarks|examples|leaks|tests|web|workers)(?:\.\w+)*)")
FENCED_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NOT_OURS = {"node_modules", "var", "dist", "build"}
TEXT = ("", ".md", ".py", ".php", ".ts", ".sh", ".cfg", ".conf", ".env", ".txt", ".yml", ".service", ".toml")
MAX_FILES_IN_A_FOLDER = 15


def test_given_every_markdown_page_then_its_relative_links_resolve() -> None:
    broken = []
    for page in _files(ROOT, ".md"):
        for target in LINK.findall(page.read_text()):
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            path, _hash, anchor = target.partition("#")
            destination = (page.parent / path).resolve() if path else page
            if not destination.exists() or (anchor and anchor not in _anchors(destination)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_given_every_file_then_the_pages_that_it_names_exist() -> None:
    missing = []
    for path in _files(ROOT, *TEXT):
        names = MENTION.findall(path.read_text(errors="replace"))
        missing += [f"{path.relative_to(ROOT)}: {name}" for name in names if not (ROOT / name).is_file()]
    assert missing == []


def test_given_every_page_then_the_sources_and_modules_that_it_names_exist() -> None:
    missing = []
    for page in [*_files(ROOT / "docs", ".md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        text = page.read_text()
        modules = [name.replace(".", "/") for name in MODULE.findall(text)]
        paths = [name for name in SOURCE_PATH.findall(text) if "/dist" not in name]
        # The page on the edge names files from its own folder, where it tells the reader to change to.
        folders = (ROOT, ROOT / "edge")
        missing += [f"{page.name}: {name}" for name in paths if not any((folder / name).exists() for folder in folders)]
        missing += [
            f"{page.name}: {name}"
            for name in modules
            if not (ROOT / f"{name}.py").exists() and not (ROOT / name / "__main__.py").exists()
        ]
    assert missing == []


def test_given_the_readme_then_it_links_to_every_page() -> None:
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in LINK.findall((ROOT / "README.md").read_text())}
    assert [str(page) for page in _files(ROOT / "docs", ".md") if page not in linked] == []


def test_given_the_folders_of_docs_then_none_holds_more_than_fifteen_files() -> None:
    pages = _files(ROOT / "docs", ".md", ".json", ".py", ".webp")
    folders = Counter(str(page.parent.relative_to(ROOT)) for page in pages)
    assert [folder for folder, count in folders.items() if count > MAX_FILES_IN_A_FOLDER] == []


def _files(folder: Path, *suffixes: str) -> list[Path]:
    """Files below `folder` with one of these suffixes, without those that are installed or built."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in NOT_OURS and not each.startswith("."))
        found += [Path(parent, name) for name in sorted(names) if Path(name).suffix in suffixes]
    return found


def _anchors(page: Path) -> set[str]:
    """Anchors of the page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCED_CODE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
