"""Hooks of the site (`make docs`): all documents of the repository are pages; links to its files lead to their source.

Everything is written for GitHub first; MkDocs calls these functions to make the same text work on the site.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
#: A document outside docs/ -> its page.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]`]|`[^`]*`|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
_REMOTE = re.compile(r"(?:https://(?:[^@/]*@)?|git@)([\w.-]+)[:/](.+?)(?:\.git)?/?")  # without a password


def on_config(config: MkDocsConfig) -> None:
    """Takes the repository's address from git."""
    asked = subprocess.run(["git", "config", "remote.origin.url"], cwd=ROOT, capture_output=True, text=True)
    if found := _REMOTE.fullmatch(asked.stdout.strip()):
        config.repo_url = "https://{}/{}".format(*found.groups())


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the documents outside docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes links that are relative to the repository's files lead to pages, or to the files on GitHub."""
    sources = {made: source for source, made in PAGES.items()}
    folder = posixpath.dirname(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def rewrite(text: str) -> str:
        return _LINK.sub(lambda link: linked(link[1], rewrite(link[2]), link[3]), text)

    def linked(image: str, text: str, target: str) -> str:
        address = _address(folder, target, config.repo_url)
        if address is None:
            return "" if image else text
        return f"{image}[{text}]({address})"

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)  # every second one is a code block
    return "".join(part if index % 2 else rewrite(part) for index, part in enumerate(parts))


def _address(folder: str, target: str, repository: str | None) -> str | None:
    """The link on the site for a link in a document of `folder`; None where git has no address of the repository."""
    path, mark, anchor = target.partition("#")
    if not path or re.match(r"\w+:", path):
        return target
    path = posixpath.normpath(posixpath.join(folder, path))
    if path in PAGES:
        return PAGES[path] + mark + anchor
    if path.startswith("docs/"):
        return path.removeprefix("docs/") + mark + anchor
    if path.startswith("../../"):  # on GitHub, ../.. of the files is the repository
        return repository and f"{repository}/{path.removeprefix('../../')}"
    if not (ROOT / path).exists():
        return target  # MkDocs reports it
    return repository and f"{repository}/blob/HEAD/{path}"
