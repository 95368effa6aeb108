#!/usr/bin/env python3
"""Builds the site: docs/ and the reference made from the public headers. Called by tools/docs.

usage: build.py DIRECTORY

DIRECTORY/html is the site. Ends with an error at the first warning of Doxygen or Sphinx.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

sys.dont_write_bytecode = True
import plain_headers  # noqa: E402
import reference  # noqa: E402

SITE = Path(__file__).resolve().parent
SOURCE = SITE.parents[1]
EXAMPLES = SOURCE / "examples"
# The pages outside of docs/ that belong to the site, too.
OTHER_PAGES = tuple(SOURCE / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "packaging/README.md"))
# The pages whose code leads to the reference. Those of `Inside` speak of the library's own parts.
FOR_USERS = tuple(SOURCE / name for name in ("docs/guide", "docs/concepts", "docs/awaiting.md", "docs/testing.md",
                                             "examples", "tools/site/index.md"))
# Parts of a page: a block of code, a heading, a link, a piece of code in a sentence.
PARTS = re.compile(r"(?P<block>^```.*?^```$)|(?P<heading>^#[^\n]*$)|(?<!!)\[(?P<text>(?:[^\[\]\n`]|`[^`\n]+`)+)\]"
                   r"\((?P<target>[^)\s]+)\)|`(?P<code>(?:[^`\n]|\n(?=\S))+)`", re.M | re.S)


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


def place_on_site(path):
    """Where the site has a file, relative to its root; None: nowhere."""
    if path == SOURCE / "README.md":
        return Path("index.md")
    if path in (EXAMPLES, EXAMPLES / "README.md"):
        return Path("examples/index.md")
    if path.parent == EXAMPLES and path.suffix in (".cpp", ".hpp"):
        return Path(f"examples/{path.name}.md")
    if path.suffix == ".md" and (path.is_relative_to(SOURCE / "docs") or path in OTHER_PAGES):
        return path.relative_to(SOURCE)
    return None


def for_site(page, text, names):
    """The page without links to what the site does not have, code and folders, and with links to the reference."""
    here = place_on_site(page) or Path("index.md")
    links_code = any(page.is_relative_to(each) for each in FOR_USERS)

    def link(text, target):
        file, _, place = target.partition("#")
        if "://" in target or not file or page == SITE / "index.md":
            return f"[{text}]({target})"
        to = place_on_site((page.parent / file).resolve())
        if to is None:
            return text
        return f"[{text}]({Path(os.path.relpath(to, here.parent))}{'#' + place if place else ''})"

    def part(found):
        if found["block"]:
            # The highlighter knows a language by one word, and C++ without the dots that stand for more code.
            block = found[0].replace("…", "...") if found[0].startswith("```cpp") else found[0]
            return re.sub(r"^```cpp program$", "```cpp", block, flags=re.M)
        if found["text"]:
            return link(found["text"], found["target"])
        target = names.target_of_text(found["code"].replace("\n", " ")) if found["code"] and links_code else None
        return f"{{declared}}`{found['code']} <{target}>`" if target else found[0]

    return PARTS.sub(part, text)


def page_of_program(file):
    """The page of an example: the comment at its head as text, then its code."""
    comment, code = re.fullmatch(r"((?://[^\n]*\n)*)(.*)", file.read_text(encoding="utf-8"), re.S).groups()
    paragraphs = re.sub(r"^// ?", "", comment, flags=re.M).strip("\n").split("\n\n")
    text = "\n\n".join(f"```console\n{textwrap.dedent(each)}\n```" if each.startswith("    ") else each for each in paragraphs)
    return f"# {file.name}\n\n{text}\n\n```cpp\n{code.strip()}\n```\n"


def copy_pages(to, names):
    (to / "_static").mkdir(parents=True)
    shutil.copy(SITE / "conf.py", to)
    shutil.copy(SITE / "uring6.css", to / "_static")
    pages = {page: page.read_text(encoding="utf-8")
             for page in (SITE / "index.md", EXAMPLES / "README.md", *OTHER_PAGES, *sorted((SOURCE / "docs").rglob("*.md")))}
    programs = sorted([*EXAMPLES.glob("*.cpp"), *EXAMPLES.glob("*.hpp")])
    pages |= {program: page_of_program(program) for program in programs}
    listed = "\n".join(f"{each.name}.md" for each in programs)
    pages[EXAMPLES / "README.md"] += f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    for page, text in pages.items():
        copied = to / (place_on_site(page) or "index.md")
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(for_site(page, text, names), encoding="utf-8")
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
    shutil.rmtree(work / "source", ignore_errors=True)
    copy_pages(work / "source", reference.write(SOURCE / "include", work / "xml", work / "source/reference"))
    shutil.rmtree(work / "html", ignore_errors=True)
    run("sphinx", "sphinx-build", "-q", "-E", "--keep-going", "-W", "-b", "html", "-d", work / "doctrees",
        work / "source", work / "html")
    mend_theme(work / "html/_static")


if __name__ == "__main__":
    main()
