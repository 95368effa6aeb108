"""Writes the pages of the reference: one for each public header, and the list of them by task."""

import re
from pathlib import Path

import doxygen
from names import Names
from plain_headers import public_headers
from tasks import GROUPS

DIRECTIVES = {"class": "cpp:class", "struct": "cpp:struct", "union": "cpp:union", "concept": "cpp:concept",
              "function": "cpp:function", "variable": "cpp:member", "typedef": "cpp:type", "enum": "cpp:enum-class",
              "enumerator": "cpp:enumerator", "define": "c:macro"}
SECTION = re.compile(r"^\s*// --- (.+?)\s*(?:---)?$")
IDENTIFIER = re.compile(r"~?[A-Za-z_]\w*(?:::\w+)*(?:\(\))?")
GO = re.compile(r"\s*\bGo: (.+?)\.(?=\s|$)")
OPTION = re.compile(r"\b(?:IPV6|ICMPV6|IP|SO|TCP|UDP|MCAST|IORING|IOSQE|MSG|RWF|CLOCK|RLIMIT|SCM)_[A-Z0-9_]+\b")
ONLY_OPTIONS = re.compile(rf"(?:(?<=\. )|^)(?:{OPTION.pattern}(?:, )?)+\.?\s*$")
# A sentence that begins so begins a paragraph on the page.
LABEL = re.compile(r"(?:(?<=\. )|^)(?=(?:Errors|Threads|Lifetime|Costs): )")
LABELS = re.compile(r"(?:Errors|Threads|Lifetime|Costs): ")
# Sphinx takes declarations for one that differ in their requires-clause or in this alone.
SAME = re.compile(r" noexcept| = default|(?<=[&*>]) \w+(?=[,)])")
RFC = re.compile(r"\bRFC (\d+)")
ESCAPED = re.compile(r"\\(?=::|[<>%#@])")  # what plain_headers.py puts in front of Doxygen's marks
SPECIAL = re.compile(r"([\\*`|_<>])")
AWAITED = re.compile(r"^ +(?:\[\[nodiscard\]\] )?(\S[^;{}\n]*?) await_resume\(", re.M)
TYPE = re.compile(r"^(?:class|struct)\s+(?:URING6_EXPORT\s+)?(\w+)", re.M)


def awaited_results(include):
    """{type of an operation: what co_await gives}, where the headers say it in one word."""
    results = {}
    for path in include.rglob("*.hpp"):
        text = path.read_text(encoding="utf-8")
        types = [(each.start(), each[1]) for each in TYPE.finditer(text)]
        for each in AWAITED.finditer(text):
            names = [name for start, name in types if start < each.start()]
            if names and not re.search(r"_type$|auto|decltype|_t<", each[1]):
                results[names[-1]] = each[1]
    return results


def head_of(text):
    """The comment at the beginning of a header, as paragraphs."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        lines.append(line[2:].strip())
    return "\n".join(lines).split("\n\n")


def without_name(paragraphs, title):
    """The title of the page is not repeated in front of its first sentence."""
    first = re.sub(rf"^{re.escape(Path(title).name)}(?:<T>)?: ", "", paragraphs[0])
    return [first[0].upper() + first[1:] if first != paragraphs[0] else first, *paragraphs[1:]]


def section_between(source, after, line):
    """The heading of a section of the header (// --- reading ---) that begins between two lines, or None."""
    found = [SECTION.match(each) for each in source[max(after, 0):line]]
    return next((each[1][0].upper() + each[1][1:] for each in reversed(found) if each), None)


def has_sections(declared, source):
    """Whether a class is so large that its header divides it."""
    inside = [member.line for member in declared.members if member.kind != "enumerator"]
    return len(inside) > 1 and "<" not in declared.signature and bool(section_between(source, declared.line, max(inside)))


class Writer:
    def __init__(self, include, names, awaited):
        self.include, self.names, self.awaited = include, names, awaited
        self.lines, self.declared, self.current = [], set(), ""

    # ---- the text of a comment ------------------------------------------------------------------------------------

    def code(self, word, scope, signature):
        is_parameter = re.search(rf"[\s&*.]{re.escape(word)}(?=[,)]| ?=)", signature.partition("(")[2])
        named = IDENTIFIER.fullmatch(word) and not is_parameter
        target = self.names.seen_from(word, scope, self.current) if named else None
        if target and target.path != scope:
            return f":declared:`{word} <{target.page}#{target.place}>`"
        return f"``{word}``" if word else ""

    def plain(self, text):
        text = ESCAPED.sub("", text)  # in quotes Doxygen leaves it there
        return SPECIAL.sub(r"\\\1", text).replace("::", ":\\:")  # a paragraph that ends with :: announces code

    def inline(self, text, declared=None):
        """Text with `code` in it, as reStructuredText; the names in it are seen from a declaration."""
        scope, signature = (declared.path, declared.signature) if declared else ("uring6", "")
        parts = re.split(r"`([^`]+)`", re.sub(r"\s+", " ", text))
        made = ""
        for number, part in enumerate(parts):
            if number % 2:
                made += ("\\ " if made and not made[-1].isspace() else "") + self.code(part, scope, signature) + "\\ "
            else:
                made += RFC.sub(r":rfc:`\1`", self.plain(part))
        return made.removesuffix("\\ ").strip()

    def paragraphs(self, element):
        """(kind, text) of each part of a comment: text, item, code. Code inside of a text stands in backticks."""
        if element is None:
            return
        for para in element.iter("para"):
            if para in self.inner:
                continue
            text = para.text or ""
            for child in para:
                if child.tag == "computeroutput":
                    text += f"`{doxygen.text_of(child)}`"
                elif child.tag in ("verbatim", "programlisting", "preformatted"):
                    yield from self.if_any("text", text)
                    yield "code", "".join(child.itertext()).strip("\n")
                    text = ""
                elif child.tag in ("itemizedlist", "orderedlist"):
                    yield from self.if_any("text", text)
                    text = ""
                    for item in child.iter("listitem"):
                        inner = list(item.iter("para"))
                        self.inner.update(inner)
                        yield "item", " ".join(self.flat(each) for each in inner)
                else:
                    text += "".join(child.itertext())
                text += child.tail or ""
            yield from self.if_any("text", text)

    def if_any(self, kind, text):
        if text.strip():
            yield kind, text

    def flat(self, para):
        text = para.text or ""
        for child in para:
            inside = "".join(child.itertext())
            text += (f"`{inside}`" if child.tag == "computeroutput" else inside) + (child.tail or "")
        return text

    def paragraph(self, text, declared, indent):
        label = LABELS.match(text)
        bold = f"**{label[0].strip()}** " if label else ""
        self.add(indent, bold + self.inline(text[label.end() if label else 0:], declared), "")

    def comment(self, declared, indent, alone):
        """The comment, and below it what other texts call the same thing."""
        self.inner = set()
        go, options, last = [], [], ""
        for kind, text in self.paragraphs(declared.comment):
            if kind == "code":
                self.add(indent, ".. code-block:: cpp", "")
                self.add(indent + 3, *text.splitlines(), "")
                last = kind
                continue
            options += OPTION.findall(text)
            go += GO.findall(text)
            text = re.sub(r"\s+", " ", GO.sub("", text)).strip()
            text = ONLY_OPTIONS.sub("", text).strip()
            if not text:
                continue
            if kind == "item":
                self.add(indent, f"- {self.inline(text, declared)}", "")
            else:
                for part in LABEL.split(text):
                    self.paragraph(part, declared, indent)
            last = kind
        fields = []
        operation = re.search(r"detail::(\w+)", declared.returns)
        if operation and operation[1] in self.awaited:
            fields.append(("Awaited result", f"``{self.awaited[operation[1]]}``"))
        if go:
            fields.append(("Go", "; ".join(self.inline(each, declared) for each in go)))
        if options:
            fields.append(("Kernel", ", ".join(f"``{each}``" for each in dict.fromkeys(options))))
        if declared.requires and alone:
            fields.append(("Requires", f"``{declared.requires}``"))
        for name, text in fields:
            self.add(indent, f":{name}: {text}")
        if fields or last:
            self.add(0, "")

    # ---- declarations ---------------------------------------------------------------------------------------------

    def add(self, indent, *lines):
        self.lines += [" " * indent + line if line else "" for line in lines]

    def runs(self, declared, source):
        """Overloads and relatives that stand below one comment, without an empty line or a comment between them."""
        runs = []
        for each in declared:
            before = runs[-1][-1] if runs else None
            if before and each.comment is None and each.kind == before.kind == "function" and not each.members:
                between = source[before.last_line:each.line - 1]
                if all(line.strip() and "//" not in line for line in between):
                    runs[-1].append(each)
                    continue
            runs.append([each])
        return runs

    def declare(self, run, source, indent):
        """The declarations of a run with the comment of the first, and its members inside."""
        first = run[0]
        by_overload = {}
        for each in run:
            by_overload.setdefault((each.scope, SAME.sub("", each.signature)), each.signature)
        signatures = [signature for overload, signature in by_overload.items() if overload not in self.declared]
        self.add(indent, *[f".. _{each.place}:" for each in run], "")
        if not signatures:
            return
        self.declared.update(by_overload)
        directive = DIRECTIVES[first.kind]
        self.add(indent, f".. {directive}:: {signatures[0]}")
        self.add(indent + len(directive) + 6, *signatures[1:])
        self.add(0, "")
        self.comment(first, indent + 3, alone=len(run) == 1)
        if has_sections(first, source):
            self.sections(first, source)
            return
        for each in self.runs(first.members, source):
            self.declare(each, source, indent + 3)

    def sections(self, declared, source):
        """The members of a large class, not inside of it but below headings of their own."""
        self.add(0, f".. cpp:namespace:: {declared.path}", "")
        last_line = declared.line
        for run in self.runs(declared.members, source):
            heading = section_between(source, last_line, run[0].line)
            last_line = run[0].line
            if heading:
                self.heading(heading, "~")
            self.declare(run, source, 0)

    def heading(self, text, underline):
        text = self.plain(text.replace("`", ""))
        self.add(0, text, underline * len(text), "")

    def top_level(self, declared, source):
        last_line, last_heading = 0, ""
        of_file = any(section_between(source, each.line - 12, each.line) for each in declared)
        for run in self.runs(declared, source):
            first = run[0]
            heading = section_between(source, last_line, first.line) if of_file else first.name
            if first.kind != "define" and heading and heading != last_heading and len(declared) > 1:
                self.heading(heading, "-")
                last_heading = heading
            last_line = max(first.last_line, first.line)
            if first.kind != "define":
                self.add(0, f".. cpp:namespace:: {first.scope}", "")
            self.declare(run, source, 0)

    def page(self, header, declared):
        text = (self.include / header).read_text(encoding="utf-8")
        title = self.current = page_of(header)
        if title == "uring6":
            title = "uring6.hpp"  # the title of the whole site is uring6
        self.lines = [f".. _header-{title.replace('/', '-')}:", "", title, "=" * len(title), ""]
        for paragraph in without_name(head_of(text), title):
            go = GO.findall(paragraph)
            self.add(0, self.inline(GO.sub("", paragraph)), "")
            for each in go:
                self.add(0, f":Go: {self.inline(each)}", "")
        self.add(0, ".. code-block:: cpp", "", f"   #include <{header}>", "")
        self.top_level(declared, text.splitlines())
        return "\n".join(self.lines) + "\n"


def page_of(header):
    return str(Path(header).relative_to("uring6").with_suffix(""))


def sentence_of(text, title):
    """The first sentence of a header's comment."""
    paragraph = re.sub(r"\s+", " ", GO.sub("", without_name(head_of(text), title)[0]))
    return re.split(r"(?<=\.) ", paragraph)[0]


def mark_deprecated(declared, source):
    """The attribute stands on the lines of the declaration, which Doxygen's XML leaves out."""
    for each in declared:
        above = source[each.line - 2] if each.line > 1 and not source[each.line - 2].rstrip().endswith((";", "}")) else ""
        each.deprecated = "[[deprecated" in above + source[each.line - 1]
        mark_deprecated(each.members, source)


def write(include, xml, to):
    """Writes all pages. Returns the names, with their places on them."""
    headers = doxygen.read(xml)
    known = {str(header) for header in public_headers(include)}
    listed = [f"uring6/{name}.hpp" for _, _, names in GROUPS for name in names]
    wrong = [f"{header} is in no group" for header in sorted(known - set(listed))]
    wrong += [f"there is no {header}" for header in sorted(set(listed) - known)]
    if wrong:
        raise SystemExit("\n".join(f"tools/site/tasks.py: {each}" for each in wrong))
    for header in listed:
        mark_deprecated(headers.get(header, []), (include / header).read_text(encoding="utf-8").splitlines())
    names = Names({page_of(header): headers.get(header, []) for header in listed})
    writer = Writer(include, names, awaited_results(include))
    for header in listed:
        page = to / f"{page_of(header)}.rst"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(writer.page(header, headers.get(header, [])), encoding="utf-8")
    writer.current = ""
    index = ["Reference", "=========", "", "Every public name, by task. :ref:`genindex` lists them by name.", ""]
    for title, about, group in GROUPS:
        file = title.lower().replace(",", "").replace(" ", "-")
        lines = [title, "=" * len(title), "", about, ""]
        index += [f":doc:`{title} <{file}>`", f"   {about} " + ", ".join(f":doc:`{name}`" for name in group), ""]
        for name in group:
            sentence = sentence_of((include / f"uring6/{name}.hpp").read_text(encoding="utf-8"), name)
            lines += [f":doc:`{name}`", f"   {writer.inline(sentence)}", ""]
        lines += [".. toctree::", "   :hidden:", ""] + [f"   {name}" for name in group]
        (to / f"{file}.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    index += [".. toctree::", "   :hidden:", ""]
    index += [f"   {title.lower().replace(',', '').replace(' ', '-')}" for title, _, _ in GROUPS]
    (to / "index.rst").write_text("\n".join(index) + "\n", encoding="utf-8")
    return names
