#!/usr/bin/env python3
"""Comments name the actor, a paragraph of a comment is short, and no metaphor stands where the field has a word.

Reads the comments of C++, Go, Python, shell and Meson, and the docstrings of Python. With --counts it prints the figures of
each folder, too."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PLACES = ("include", "lib", "tests", "bench", "tools", "examples")

# Pronouns for a person stand where the kernel, the loop, a reader or a program acts. Of 1,000 words in comments, as
# many as libunifex has.
ACTORLESS = re.compile(r"\b(who|whoever|whom|whose|somebody|someone|nobody|anybody|anyone|everybody|everyone|no one)\b",
                       re.IGNORECASE)
LIMIT_PER_1000 = 0.5
# Lines of one paragraph. The head of a file says what the file is for, and has more room.
LIMIT_OF_PARAGRAPH = 6
LIMIT_OF_HEAD = 12
LIMIT_OF_SUBJECT = 72  # characters of a commit's subject, which `git log --oneline` shows whole beside the hash

# Metaphors with a literal word of the field: in comments, and as names in code.
METAPHORS = {
    "bury": "destroy, release", "buries": "destroy, release", "buried": "destroyed, released",
    "upstairs": "the owner's name", "companion": "drain read", "companions": "drain reads",
    "stranger": "a foreign sender, another program", "strangers": "foreign senders, other programs",
    "hurry": "schedule a flush", "hurries": "schedules a flush", "slammed": "closed at once", "mourn": "wait for",
}
OLD_NAMES = {
    "upstairs": "share_of_conns", "upstairs_": "share_of_conns_", "strangers_": "foreign_descriptor_waits_",
    "bare_": "payload_only_", "pausing_": "cancel_requested_", "hurry": "schedule_flush", "bury": "release",
    "soon_complete": "prefetch_for_completion", "tells_nothing": "is_empty_for_send",
}
METAPHOR = re.compile(r"\b(" + "|".join(METAPHORS) + r")\b", re.IGNORECASE)
OLD_NAME = re.compile(r"\b(" + "|".join(OLD_NAMES) + r")\b")
CODE = re.compile(r"`[^`]*`")  # names of the code, which are no words of a sentence
SENTENCE_END = re.compile(r"(?<=[.:!?;])\s+(?=[A-Z`\"'(])")


@dataclass
class Line:
    number: int
    text: str
    alone: bool = True  # no code stands before the comment
    head: bool = False  # no code stands above the comment


# ---- comments of one file --------------------------------------------------------------------------------------------

def comments_by_slashes(text):
    """`//` outside of string literals; block comments with text are not part of the style."""
    head = True
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r"""((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|/(?!/)|[^"'/]|')*)//+<?!?(?: |$)?(.*)""", line)
        if found:
            yield Line(number, found[2], not found[1].strip(), head)
        if (found[1] if found else line).strip() and not line.startswith(("#pragma once", "#include")):
            head = False


def comments_by_hashes(text):
    """Of a shell script or a meson.build: a word that starts with `#`."""
    head = True
    for number, line in enumerate(text.split("\n"), 1):
        if number == 1 and line.startswith("#!"):
            continue
        found = re.match(r"""((?:.*\s)?)#(?: |$)(.*)""", line)
        if found:
            yield Line(number, found[2], not found[1].strip(), head)
        elif line.strip():
            head = False


def comments_of_python(text):
    head = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            yield Line(token.start[0], token.string.lstrip("# "), not token.line[:token.start[1]].strip(), head)
        elif token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.ENCODING):
            head = False
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
            first = node.body[0].lineno
            for number, line in enumerate(node.body[0].value.value.split("\n"), first):
                yield Line(number, line.strip(), True, isinstance(node, ast.Module))


def reader_of(file, text):
    if file.suffix in (".cpp", ".hpp", ".go") or file.name.endswith(".hpp.in"):
        return comments_by_slashes
    if file.suffix == ".py" or text.startswith("#!/usr/bin/env python3"):
        return comments_of_python
    if file.suffix == ".sh" or file.name == "meson.build" or text.startswith(("#!/usr/bin/env bash", "#!/bin/sh")):
        return comments_by_hashes
    return None


# ---- what is wrong with them -----------------------------------------------------------------------------------------

def paragraphs(lines):
    """Lists of lines without a blank comment line between them."""
    run = []
    for line in lines:
        goes_on = run and line.number == run[-1].number + 1 and run[-1].alone and line.alone
        if run and (not goes_on or not line.text.strip()):
            yield run
            run = []
        if line.text.strip():
            run.append(line)
    if run:
        yield run


def longest_piece(paragraph):
    """The number of lines of the longest piece of prose: an item of a list is a piece, and an indented line is code."""
    longest = length = 0
    for line in paragraph:
        if line.text.startswith("    "):
            continue
        length = 1 if line.text.startswith("- ") else length + 1
        longest = max(longest, length)
    return longest


def sentences(paragraph):
    """Pairs of the first line's number and the sentence."""
    text = " ".join(line.text.strip() for line in paragraph)
    ends, position = [], 0
    for line in paragraph:
        position += len(line.text.strip()) + 1
        ends.append((position, line.number))
    start = 0
    for sentence in SENTENCE_END.split(text):
        start = text.index(sentence, start)
        prose = CODE.sub(lambda code: " " * len(code[0]), sentence)
        for found in [ACTORLESS.search(prose), METAPHOR.search(prose)]:
            at = start + (found.start() if found else 0)
            yield next(number for end, number in ends if at < end), sentence, found
        start += len(sentence)


class Findings:
    def __init__(self):
        self.words = Counter()
        self.actorless = Counter()
        self.places = []  # of a word that names no actor: these are counted
        self.faults = []  # each of these is one too many

    def look_at(self, name, folder, text, comments):
        comments = list(comments)
        for line in comments:
            self.words[folder] += len(re.findall(r"\w+", line.text))
            self.actorless[folder] += len(ACTORLESS.findall(CODE.sub("", line.text)))
        for paragraph in paragraphs(comments):
            limit = LIMIT_OF_HEAD if paragraph[0].head else LIMIT_OF_PARAGRAPH
            if paragraph[0].alone and longest_piece(paragraph) > limit:
                self.faults.append(f"{name}:{paragraph[0].number}: {longest_piece(paragraph)} lines without a paragraph's end; "
                                   f"{limit} are the limit")
            for number, sentence, found in sentences(paragraph):
                if not found:
                    continue
                place = f"{name}:{number}: {sentence}"
                if found.re is METAPHOR:
                    self.faults.append(f"{place} ({found[0]}: rather {METAPHORS[found[0].lower()]})")
                else:
                    self.places.append(place)
        if name.endswith((".cpp", ".hpp")):
            for number, line in enumerate(text.split("\n"), 1):
                if found := OLD_NAME.search(line.partition("//")[0]):
                    self.faults.append(f"{name}:{number}: the name {found[0]}: rather {OLD_NAMES[found[0]]}")

    def rate(self, folders=None):
        words = sum(count for folder, count in self.words.items() if folders is None or folder in folders)
        found = sum(count for folder, count in self.actorless.items() if folders is None or folder in folders)
        return 1000 * found / max(words, 1)


# ---- its own check ---------------------------------------------------------------------------------------------------

def check_itself():
    def faults(name, text):
        findings = Findings()
        findings.look_at(name, "x", text, reader_of(Path(name), text)(text))
        return len(findings.places), len(findings.faults)

    line = "// The loop wakes.\n"
    expected = [
        ("a.cpp", "// Whoever waits, and nobody else.\n", (1, 0)),
        ("a.cpp", 'auto x = "//"; /// Whose train it is:\n', (1, 0)),
        ("a.cpp", "int x;  // Of no\n// Somebody reads.\n", (1, 0)),
        ("a.cpp", "// The reader whose\n// datagram it is. Another sentence.\n", (1, 0)),
        ("a.cpp", 'auto x = "who // whom";\n', (0, 0)),
        ("a.cpp", "// The fastest of `who.vectors`.\n", (0, 0)),
        ("a.cpp", "int x;  // Of no\nint y;  // one reader.\n", (0, 0)),
        ("a.cpp", "// The whole, a wholesale, an everyday word.\n", (0, 0)),
        ("a.cpp", "char x = '\"';  // who\n", (1, 0)),
        ("a.py", '"""A docstring\nof somebody."""\nx = "# who"  # nobody\n', (2, 0)),
        ("a.sh", '#!/usr/bin/env bash\nx=${#who} # anyone\n', (1, 0)),
        ("a.sh", '#!/usr/bin/env bash\necho "a#who"\n', (0, 0)),
        ("a.cpp", "// The companion reads.\n", (0, 1)),
        ("a.cpp", "// The kernel accompanies strange buryings.\n", (0, 0)),
        ("a.cpp", "x.hurry();\n", (0, 1)),
        ("a.cpp", "int unhurry;\n", (0, 0)),
        ("a.cpp", "int x;\n" + line * LIMIT_OF_PARAGRAPH, (0, 0)),
        ("a.cpp", "int x;\n" + line * (LIMIT_OF_PARAGRAPH + 1), (0, 1)),
        ("a.cpp", "int x;\n" + line * LIMIT_OF_PARAGRAPH + "//\n" + line * LIMIT_OF_PARAGRAPH, (0, 0)),
        ("a.cpp", "int x;\n" + "// - an item\n" * 9, (0, 0)),
        ("a.cpp", "int x;\n" + "//     code();\n" * 9, (0, 0)),
        ("a.cpp", line * LIMIT_OF_HEAD, (0, 0)),
        ("a.cpp", line * (LIMIT_OF_HEAD + 1), (0, 1)),
    ]
    wrong = [f"the check itself: {text!r} gives {faults(name, text)} and not {wanted}"
             for name, text, wanted in expected if faults(name, text) != wanted]
    if wrong:
        sys.exit("\n".join(wrong))


def subject_of_head():
    """None where this is no checkout of git."""
    result = subprocess.run(["git", "-C", SOURCE, "log", "-1", "--format=%s"], capture_output=True, text=True)
    return result.stdout.rstrip("\n") if result.returncode == 0 and (SOURCE / ".git").exists() else None


def main():
    check_itself()
    findings = Findings()
    for place in PLACES:
        for file in sorted(file for file in (SOURCE / place).rglob("*") if file.is_file()):
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            if reader := reader_of(file, text):
                name = str(file.relative_to(SOURCE))
                findings.look_at(name, "/".join(Path(name).parts[:-1][:2]), text, reader(text))
    if not findings.words:
        sys.exit("there is no comment to look at")

    faults = list(findings.faults)
    if findings.rate() > LIMIT_PER_1000:
        faults += findings.places
        faults.append(f"{findings.rate():.2f} of 1,000 words of comments name no actor; {LIMIT_PER_1000} are the limit")
    subject = subject_of_head()
    if subject is not None and len(subject) > LIMIT_OF_SUBJECT:
        faults.append(f"the last commit's subject has {len(subject)} characters: {subject}")
    print("\n".join(faults))
    if "--counts" in sys.argv[1:]:
        for folder in findings.words:
            print(f"{folder:24} {findings.words[folder]:6} words, {findings.actorless[folder]:3} name no actor")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
