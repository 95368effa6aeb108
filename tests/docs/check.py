#!/usr/bin/env python3
"""tools/docs builds the site without a warning. In it each public name has a page, each link leads to something, each page
has a title of its own, and the code in a sentence leads to the declaration of that name."""

import os
import re
import shutil
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.dont_write_bytecode = True
SOURCE = Path(os.environ.get("SOURCE", Path(__file__).resolve().parents[2]))
sys.path[:0] = [str(SOURCE / "tests/parity"), str(SOURCE / "tools/site")]
from declarations import declared_names  # noqa: E402 the one of tests/parity
from names import CALL  # noqa: E402
from plain_headers import public_headers, without_hidden  # noqa: E402

EXIT_SKIPPED = 77
TEMPLATE = re.compile(r"\btemplate\s*<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>")
# What declared_names takes for a name: an operator.
NO_NAMES = {"requires", "sizeof"}

complaints = []


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.title, self.in_title = [], set(), "", False
        self.link_texts, self.link_text = [], None  # (address, text); the text of the link that is being read
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors.update(attributes[key] for key in ("id", "name") if attributes.get(key))
        self.links += [attributes[key] for key in ("href", "src") if attributes.get(key)]
        self.in_title = self.in_title or tag == "title" and not self.title
        if tag == "a":
            self.link_text = (attributes.get("href") or "", [])

    def handle_endtag(self, tag):
        self.in_title = self.in_title and tag != "title"
        if tag == "a" and self.link_text:
            self.link_texts.append((self.link_text[0], "".join(self.link_text[1])))
            self.link_text = None

    def handle_data(self, text):
        if self.in_title:
            self.title += text
        if self.link_text:
            self.link_text[1].append(text)


def check_links(html, pages):
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                complaints.append(f"{path.relative_to(html)}: {link} leads to nothing")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                complaints.append(f"{path.relative_to(html)}: {link}: the page has no such place")


def check_titles(html, pages):
    seen = {}
    for path, page in pages.items():
        title = page.title.removesuffix(" - uring6").strip()
        name = str(path.relative_to(html))
        if not title or "<no title>" in title:
            complaints.append(f"{name} has no title")
        elif title in seen:
            complaints.append(f"{name} and {seen[title]} have one title: {title}")
        seen[title] = name


def check_code(html, pages):
    """The code of a text leads to a declaration of its name. Most pages of the guide have such code."""
    of_guide = dict.fromkeys((html / "docs").glob("guide/*.html"), 0)
    for path, page in pages.items():
        for link, text in page.link_texts:
            place = urlsplit(link).fragment
            if not place.startswith("name-"):
                continue
            if path in of_guide:
                of_guide[path] += 1
            called = CALL.fullmatch(text.strip())
            name = called["name"].rpartition("::")[2] if called else text
            slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            if not re.search(rf"-{re.escape(slug)}(-\d+)?$", place):
                complaints.append(f"{path.relative_to(html)}: {text} leads to {place}")
    complaints.extend(f"{path.relative_to(html)} leads nowhere in the reference" for path, count in of_guide.items() if count == 0)
    if ("../../reference/listen.html#name-listen-packet", "listen_packet") not in pages[html / "docs/guide/first-service.html"].link_texts:
        complaints.append("docs/guide/first-service.html: listen_packet does not lead to its declaration")
    listed = {urlsplit(link).path for link in pages[html / "examples/index.html"].links}
    complaints.extend(f"examples/README.md does not list {each.name}" for each in sorted((SOURCE / "examples").glob("*.cpp"))
                      if each.name + ".html" not in listed)


def described(html):
    """The names of the index that Sphinx writes for other sites."""
    _, _, _, _, packed = (html / "objects.inv").read_bytes().split(b"\n", 4)
    return {line.split(" cpp:")[0] for line in zlib.decompress(packed).decode().splitlines() if " cpp:" in line}


def check_names(html):
    names = described(html)
    count = 0
    for header in public_headers(SOURCE / "include"):
        text = without_hidden((SOURCE / "include" / header).read_text()).replace("URING6_LIFETIMEBOUND", "")
        namespaces = set(re.findall(r"^namespace (?:\w+::)*(\w+) \{", text, re.M))
        for path in sorted(declared_names(TEMPLATE.sub(" ", text))):
            if path[0] != "uring6" or path[-1] in NO_NAMES | namespaces or "detail" in path:
                continue
            count += 1
            if "::".join(path) not in names:
                complaints.append(f"{header}: {'::'.join(path)} has no page")
    if count < 500:
        complaints.append(f"only {count} public names were read")


def main():
    for program in ("doxygen", "sphinx-build"):
        if not shutil.which(program):
            print(f"there is no {program} (tools/lib/packages, group docs)")
            return EXIT_SKIPPED
    work = Path(os.environ["SCRATCH"]) / "docs" if "SCRATCH" in os.environ else SOURCE / "build/docs"
    done = subprocess.run([SOURCE / "tools/docs", "--no-install", work], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 3:  # exit_environment of tools/lib/setup.sh
        print(done.stdout)
        return EXIT_SKIPPED
    if done.returncode != 0:
        print(done.stdout)
        return 1
    html = work / "html"
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(html.rglob("*.html"))}
    check_links(html.resolve(), pages)
    check_titles(html.resolve(), pages)
    check_code(html.resolve(), pages)
    check_names(html)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
