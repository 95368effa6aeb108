"""Copies the public headers without what a program does not see, so that Doxygen describes the rest. Each declaration
keeps its line."""

import re

# What the headers declare for the library's own use: detail, the specializations of other libraries' templates, and
# the private parts of classes.
HIDDEN = (
    re.compile(r"^namespace detail \{$.*?^\}  // namespace detail$", re.M | re.S),
    re.compile(r"^template <[^\n]*>\n(?: *requires[^\n]*\n)?(?:struct|class) (?:std|fmt)::.*?\};$", re.M | re.S),
    # Members of detail's types that are defined behind it.
    re.compile(r"^(?:template <[^\n]*>\n)?[^\s/][^\n;/]*\bdetail::\w+(?:<\w+>)?::~?\w+\([^;{\n]*\{.*?^\}$", re.M | re.S),
    re.compile(r"^template <[^\n]*>\n(?:requires[^\n]*\n)?inline constexpr bool (?:std|fmt)::.*?;$", re.M | re.S),
    re.compile(r"^template <>\ninline constexpr bool is_flags<.*?;$", re.M | re.S),
    # Deduction guides: Sphinx takes them for functions.
    re.compile(r"^template <[^\n]*>\n\w+\([^\n]*\) -> [^\n]*;$", re.M),
    re.compile(r"^namespace fmt \{$.*?^\}  // namespace fmt$", re.M | re.S),
    re.compile(r"^( *) (?:private|protected):\n.*?(?=^\1(?:\}|  ?public:))", re.M | re.S),
    # A declaration that is marked, with its comment.
    re.compile(r"(?:^ *///[^\n]*\n)*^[^\n/]*URING6_HIDDEN[^\n]*;$", re.M),
    # The headers of optional libraries are read as if these were there.
    re.compile(r"^#(?:if|el|endif|include|error|pragma)[^\n]*", re.M),
)

# Doxygen takes `local` for a keyword of another language.
KEYWORD = re.compile(r"\bbool local(?= =)")
MARK = "_of_doxygen"

# Text of a comment that Doxygen would take for its own marks, outside of `code` and of indented blocks.
COMMENT = re.compile(r"///<? {0,3}(?! )[^\n]*")
MARKS = re.compile(r"(`[^`]*`)|(?<![\w:>`])(::)(?=\w)|([<>%#@])")


def blank(match):
    return "\n" * match[0].count("\n")


def escaped(mark):
    return mark[1] or "\\" + mark[0]


def without_hidden(text):
    text = text.replace("::inline v0", "")  # programs do not write the version of the interface
    for pattern in HIDDEN:
        text = pattern.sub(blank, text)
    return text


def for_doxygen(text):
    text = COMMENT.sub(lambda comment: comment[0][:4] + MARKS.sub(escaped, comment[0][4:]), text)
    return KEYWORD.sub("bool local" + MARK, text)


def public_headers(include):
    """The headers that a program includes, as paths inside of `include`."""
    return [path.relative_to(include) for path in sorted(include.rglob("*.hpp")) if "detail" not in path.parts]


def copy(include, to):
    for header in public_headers(include):
        (to / header).parent.mkdir(parents=True, exist_ok=True)
        text = without_hidden((include / header).read_text(encoding="utf-8"))
        (to / header).write_text(for_doxygen(text), encoding="utf-8")
