#!/usr/bin/env python3
"""Builds the site: docs/ and the reference made from the public headers. Called by tools/docs.

usage: build.py DIRECTORY

DIRECTORY/html is the site. Ends with an error at the first warning of Doxygen or Sphinx.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import plain_headers  # noqa: E402
import reference  # noqa: E402

SITE = Path(__file__).resolve().parent
SOURCE = SITE.parents[1]
# The pages at the root of the project that belong to the site, too.
ROOT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.M | re.S)


def run(name, *words):
    """Runs one program of the build; what it prints is a warning."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 or done.stdout.strip():
        sys.exit(f"{done.stdout.rstrip()}\n{name} has errors or warnings")


def read_headers(work):
    shutil.rmtree(work / "headers", ignore_errors=True)
    shutil.rmtree(work / "xml", ignore_errors=True)
    plain_headers.copy(SOURCE / "include", work / "headers")
    settings = (SITE / "Doxyfile").read_text(encoding="utf-8")
    settings += f"INPUT = {work / 'headers'}\nSTRIP_FROM_PATH = {work / 'headers'}\nOUTPUT_DIRECTORY = {work}\n"
    (work / "Doxyfile").write_text(settings, encoding="utf-8")
    run("doxygen", "doxygen", work / "Doxyfile")


def for_site(page, text):
    """The page without links to what the site does not have: code, folders."""
    def link(match):
        target = match[2].partition("#")[0]
        if "://" in match[2] or not target:
            return match[0]
        path = (page.parent / target).resolve()
        if path.suffix == ".md" and (path.is_relative_to(SOURCE / "docs") or path.name in ROOT_PAGES and path.parent == SOURCE):
            return match[0]
        if path == SOURCE / "README.md":
            return f"[{match[1]}]({'../' * (len(page.relative_to(SOURCE).parts) - 1)}index.md)"
        return match[1]

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(link, part) for part in parts[::2]]
    # The highlighter knows a language by one word, and C++ without the dots that stand for more code.
    parts[1::2] = [re.sub(r"^```cpp program$", "```cpp", part.replace("…", "..."), flags=re.M) if part.startswith("```cpp")
                   else part for part in parts[1::2]]
    return "".join(parts)


def copy_pages(to):
    shutil.rmtree(to, ignore_errors=True)
    (to / "_static").mkdir(parents=True)
    shutil.copy(SITE / "conf.py", to)
    shutil.copy(SITE / "uring6.css", to / "_static")
    shutil.copy(SITE / "index.md", to)
    pages = [SOURCE / name for name in ROOT_PAGES] + sorted((SOURCE / "docs").rglob("*.md"))
    for page in pages:
        copied = to / page.relative_to(SOURCE)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(for_site(page, page.read_text(encoding="utf-8")), encoding="utf-8")
    for picture in (SOURCE / "docs").rglob("*.svg"):
        shutil.copy(picture, to / picture.relative_to(SOURCE))


def mend_theme(static):
    """Debian 12's furo is not put together: its script imports another one, which a browser refuses in a plain script, and
    its style sheet names a file of another package."""
    script = static / "scripts/furo.js"
    imported = static / "scripts/gumshoe-patched.js"
    text = script.read_text(encoding="utf-8")
    if text.startswith("import ") and imported.exists():
        script.write_text(imported.read_text(encoding="utf-8") + text.partition("\n")[2], encoding="utf-8")
    style = static / "styles/furo.css"
    style.write_text(re.sub(r"^@import url\(/[^\n]*\n", "", style.read_text(encoding="utf-8")), encoding="utf-8")


def main():
    work = Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    read_headers(work)
    copy_pages(work / "source")
    reference.write(SOURCE / "include", work / "xml", work / "source/reference")
    shutil.rmtree(work / "html", ignore_errors=True)
    run("sphinx", "sphinx-build", "-q", "-E", "--keep-going", "-W", "-b", "html", "-d", work / "doctrees",
        work / "source", work / "html")
    mend_theme(work / "html/_static")


if __name__ == "__main__":
    main()
