#!/usr/bin/env python3
"""Writes a man page of section 3, made from the comments of a public header. Needs Python alone, so that Meson can make
the pages wherever it builds the library.

usage: man_pages.py INCLUDE HEADER NAME DATE FILE
"""

import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True
from plain_headers import without_hidden  # noqa: E402
from reference import SECTION, awaited_results, head_of  # noqa: E402

TYPE = re.compile(r"(?:template <.*?>\s*)?\b(?:class|struct|enum class|enum)\s+(?:\[\[.*?\]\]\s*)?(\w+)[^()]*$", re.S)
NAMESPACE = re.compile(r"namespace ([\w:]+)$")
LABEL = re.compile(r"\s*(?:public|private|protected):")
ATTRIBUTES = re.compile(r"\[\[(?:nodiscard|deprecated)[^\]]*\]\]\s*| URING6_LIFETIMEBOUND\b|\bURING6_\w+ ?")
SENTENCE_END = re.compile(r"(?<=[.:!?]) +(?=[A-Z`\"(])")
CONTRACTION = re.compile(r"(`[^`]*`)")
DELETED = re.compile(r"=\s*delete$")
NO_NAMES = {"requires", "noexcept", "explicit", "sizeof", "decltype"}
WIDTH = 78


@dataclass
class Item:
    comment: str
    code: str  # the declaration without a body; the heading of a section of the header
    is_section: bool = False
    follows: bool = False  # directly below the item before, without an empty line or a comment
    members: list["Item"] = field(default_factory=list)

    @property
    def name(self):
        of_type = TYPE.search(self.code)
        if of_type and (self.members or "(" not in self.code):
            return of_type[1]
        flat, depth = "", 0  # without what stands in parentheses
        for letter in self.code:
            depth -= letter == ")"
            if depth == 0:
                flat += letter
            depth += letter == "("
        return next((name for name in re.findall(r"(\w+)\(", flat) if name not in NO_NAMES), "")


class Reader:
    """Reads the declarations of a header: enough of C++ for include/uring6."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def line(self):
        end = self.text.find("\n", self.at)
        return self.text[self.at:end if end >= 0 else len(self.text)]

    def skip_braces(self):
        depth = 0
        while True:
            depth += (self.text[self.at] == "{") - (self.text[self.at] == "}")
            self.at += 1
            if depth == 0:
                return

    def declaration(self, enumerators):
        """The code up to ; or to the { of a body, and whether the body of a type or namespace begins there."""
        start, depth, ends = self.at, 0, ",;}" if enumerators else ";}"
        while self.at < len(self.text):
            letter = self.text[self.at]
            depth += (letter in "([") - (letter in ")]")
            if self.text.startswith("//", self.at):
                break
            if depth == 0 and letter == "{":
                code = self.text[start:self.at].strip()
                self.at += 1
                if TYPE.fullmatch(code) or NAMESPACE.fullmatch(code):
                    return code, True
                self.at -= 1
                self.skip_braces()
                # An initializer, which ends with ;, or a body.
                if "(" in code and not code.endswith("="):
                    return re.sub(r"\)\s*:\s.*", ")", code, flags=re.S), False
                continue
            if depth == 0 and letter in ends:
                code = self.text[start:self.at].strip()
                self.at += letter != "}"
                return code, False
            self.at += 1
        return self.text[start:self.at].strip(), False

    def items(self, enumerators=False):
        found, comment, blank = [], [], True
        while self.at < len(self.text):
            line = self.line()
            stripped = line.strip()
            if not stripped:
                comment, blank = [], True
                self.at += len(line) + 1
            elif stripped.startswith("///<") and found:
                found[-1].comment += " " + stripped[4:].strip()
                self.at += len(line) + 1
            elif stripped.startswith("///"):
                comment.append(stripped[3:].removeprefix(" "))
                self.at += len(line) + 1
            elif stripped.startswith("//"):
                section = SECTION.match(stripped)
                if section:
                    found.append(Item("", section[1], is_section=True))
                comment, blank = [], True
                self.at += len(line) + 1
            elif stripped.startswith("#") or LABEL.match(line):
                self.at += len(line) + 1
                blank = True
            elif stripped.startswith("}"):
                self.at = self.text.index("}", self.at) + 1
                return found
            else:
                self.at += len(line) - len(line.lstrip())
                code, opens = self.declaration(enumerators)
                item = Item("\n".join(comment), code, follows=bool(found) and not blank and not comment)
                if opens:
                    item.members = self.items(enumerators=code.startswith("enum"))
                    if NAMESPACE.fullmatch(code):
                        found += item.members
                        comment, blank = [], True
                        continue
                    self.declaration(False)  # the ; behind it
                if code:
                    found.append(item)
                comment, blank = [], False
                rest = self.line()
                if not rest.strip():
                    self.at += len(rest) + 1
        return found


# ---- mdoc ------------------------------------------------------------------------------------------------------------

def escaped(text):
    return text.replace("\\", "\\e")


def literal(text):
    return escaped(text).replace("-", "\\-")


def text_lines(text):
    """A paragraph, a sentence a line, `code` in bold."""
    lines = []
    for sentence in SENTENCE_END.split(re.sub(r"\s+", " ", text).strip()):
        parts = CONTRACTION.split(sentence)
        made = "".join(f"\\fB{literal(part[1:-1])}\\fP" if part.startswith("`") else escaped(part) for part in parts)
        wrapped = textwrap.wrap(made, WIDTH, break_long_words=False, break_on_hyphens=False)
        lines += ["\\&" + line if line[:1] in ".'" else line for line in wrapped]
    return lines


def comment_lines(comment):
    """The paragraphs, lists and code of a comment."""
    lines, paragraph, items, code = [], [], [], []

    def flush():
        if paragraph:
            lines.extend([".Pp"] * bool(lines) + text_lines(" ".join(paragraph)))
            paragraph.clear()
        if items:
            lines.append(".Bl -bullet")
            for item in items:
                lines.extend([".It", *text_lines(item)])
            lines.append(".El")
            items.clear()
        if code:
            shift = min(len(line) - len(line.lstrip()) for line in code if line.strip())
            lines.append(".Bd -literal -offset indent")
            lines.extend(literal_line(line[shift:]) for line in code)
            lines.append(".Ed")
            code.clear()

    for line in comment.split("\n"):
        if not line.strip():
            if code:
                continue
            flush()
        elif line.startswith("    "):
            if not code:
                flush()
            code.append(line)
        elif line.startswith("- "):
            if not items:
                flush()
            items.append(line[2:])
        elif items:
            items[-1] += " " + line.strip()
        else:
            if code:
                flush()
            paragraph.append(line)
    flush()
    return lines


def literal_line(line):
    made = literal(line)
    return "\\&" + made if made[:1] in ".'" else made


def code_lines(code):
    """A declaration as its header has it."""
    lines = code.split("\n")
    rest = [line for line in lines[1:] if line.strip()]
    shift = min((len(line) - len(line.lstrip()) for line in rest), default=0)
    made = [lines[0], *("    " + line[shift:] for line in rest)]
    return [literal_line(line) for line in [*made[:-1], made[-1].rstrip() + ";"]]


class Page:
    def __init__(self, include, header, name, date):
        text = (include / header).read_text(encoding="utf-8").replace("::inline v0", "")
        self.header, self.name, self.date = header, name, date
        self.about = head_of(text)
        self.awaited = awaited_results(include)
        items = Reader(ATTRIBUTES.sub("", without_hidden(text))).items()
        self.items = [item for item in items
                      if not item.is_section and item.name == name and not DELETED.search(item.code)
                      and (item.members or "(" in item.code)]
        if not self.items:
            sys.exit(f"{header} declares no {name}")

    def sentence(self):
        """What the page is about, in one line: the first sentence of the first comment."""
        comment = next((item.comment for item in self.items if item.comment), " ".join(self.about))
        first = re.split(r"(?<=\.) ", re.sub(r"\s+", " ", comment.split("\n\n")[0]).replace("`", ""))[0].rstrip(".:")
        return escaped(first[0].lower() + first[1:] if first[1:2] == " " or not first[:2].isupper() else first)

    def synopsis(self):
        lines = [f".In {self.header}", ".Pp", ".Bd -literal", "namespace uring6 {"]
        for item in self.items:
            lines += code_lines(re.sub(r"(?: final)? : .*", "", item.code, flags=re.S) if item.members else item.code)
        return [*lines, "}", ".Ed"]

    def described(self, run):
        lines = [".Bd -literal"]
        for item in run:
            lines += code_lines(item.code)
        lines.append(".Ed")
        about = comment_lines(run[0].comment.strip()) if run[0].comment.strip() else []
        operation = re.search(r"detail::(\w+)", run[0].code)
        if operation and operation[1] in self.awaited:
            about += ([".Pp"] if about else []) + text_lines(f"`co_await` gives `{self.awaited[operation[1]]}`.")
        if about:
            lines += [".Bl -item -offset indent", ".It", *about, ".El"]
        return lines

    def members(self, item):
        lines, run = [], []
        for member in [*(each for each in item.members if not DELETED.search(each.code)), None]:
            if member is not None and run and member.follows and not member.comment and not item.code.startswith("enum"):
                run.append(member)
                continue
            if run:
                lines += self.described(run)
            run = []
            if member is None:
                break
            if member.is_section:
                lines += [f".Ss {escaped(member.code[0].upper() + member.code[1:])}"]
            elif item.code.startswith("enum"):
                lines += [".Bl -tag -width Ds", f".It \\fB{literal(member.code)}\\fP", *text_lines(member.comment), ".El"]
            elif not re.match(r"friend\b|using\b.*= ?void", member.code) :
                run = [member]
        return re.sub(r"\n\.El\n\.Bl -tag -width Ds\n", "\n", "\n".join(lines)).split("\n") if lines else []

    def description(self):
        lines = []
        for item in self.items:
            if item.comment:
                lines += ([".Pp"] if lines else []) + comment_lines(item.comment)
            lines += self.members(item)
        return lines or text_lines(" ".join(self.about))

    def text(self):
        lines = [f".Dd {self.date}", f".Dt URING6::{self.name.upper()} 3", ".Os", ".Sh NAME", f".Nm uring6::{self.name}",
                 f".Nd {self.sentence()}", ".Sh SYNOPSIS", *self.synopsis(), ".Sh DESCRIPTION", *self.description(),
                 ".Sh SEE ALSO", ".Xr uring6 7"]
        # A display leaves space before itself, and so does a paragraph.
        kept = [line for line, after in zip(lines, [*lines[1:], ""])
                if not (line == ".Pp" and after.startswith((".Bd", ".Bl", ".Ss", ".Sh")))]
        return "\n".join(kept) + "\n"


def main():
    include, header, name, date, file = sys.argv[1:]
    Path(file).write_text(Page(Path(include), header, name, date).text(), encoding="utf-8")


if __name__ == "__main__":
    main()
