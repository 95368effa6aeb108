"""The names that a C++ header declares, and their types: enough of C++ for the headers of include/uring6."""

import re

# A namespace or a type, at the end of what stands before its brace.
SCOPE = re.compile(r"\b(?:namespace|class|struct|union|enum(?: class)?)\s+(?:\[\[.*?\]\]\s*)?(?:URING6_EXPORT\s+)?"
                   r"([\w:]+)(?:<[^{]*>)?\s*(?:final\s*)?(?::[^:{][^{]*)?$", re.S)
ENUM = re.compile(r"\benum\b")
TYPE = re.compile(r"\b(?:class|struct|union|enum(?: class)?|concept|using)\s+(?:URING6_EXPORT\s+)?(\w+)\s*(?:=|;|$)")
NO_TYPES = {"return", "co_return", "co_await", "co_yield", "throw", "new", "delete", "else", "case", "goto", "using",
            "namespace", "template", "operator", "requires", "explicit", "friend", "typename"}
# A function or an object: a type before it, and what may follow a name that is being declared. `explicit f(` and `f(`
# alone are constructors: their names are those of types.
DECLARED = re.compile(r"([\w>&*\]]+)\s+[&*]*(\w+)\s*(?=\(|;|=[^=]|\{|\[|,|:[^:]|$)")


def without_comments(text):
    text = text.replace("::inline v0", "")  # the version of the interface, which no program writes
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"'(?:[^'\\\n]|\\.)'", "' '", text)
    return re.sub(r"^\s*#(?:[^\n\\]|\\.)*", "", text, flags=re.M | re.S)


def declared_in(statement, scope, enumerators):
    """The names that one statement declares, without what stands in its braces."""
    if enumerators:
        for part in statement.split(","):
            name = re.match(r"\s*(\w+)", part)
            if name:
                yield (*scope, name[1])
        return
    named = TYPE.search(statement)
    if named:
        yield (*scope, named[1])
    # Not what stands in its parentheses: parameters and defaults.
    flat, depth = "", 0
    for letter in re.sub(r"\[\[.*?\]\]", " ", statement):
        depth -= letter == ")"
        if depth == 0:
            flat += letter
        depth += letter == "("
    for before, name in DECLARED.findall(flat):
        if before not in NO_TYPES and name not in ("noexcept", "operator") and not name[0].isdigit():
            yield (*scope, name)


def declared_names(text):
    """Each name as the tuple of the scopes that it stands in and itself, the outermost first."""
    names = set()
    scopes = [((), False)]  # of each open brace: its path, whether it is of an enumeration; None in what declares nothing
    statement = ""
    for letter in without_comments(text):
        current = scopes[-1]
        if letter == "{":
            opened = SCOPE.search(statement) if current else None
            if opened:
                path = tuple(opened[1].split("::"))
                names.add((*current[0], *path))
                scopes.append(((*current[0], *path), bool(ENUM.search(statement))))
                statement = ""
            else:
                scopes.append(None)
                if current:
                    statement += " {"  # the body of a function, or an initializer
        elif letter == "}":
            if current:
                names.update(declared_in(statement, *current))
                statement = ""
            scopes.pop()
            if current is None and scopes[-1] and "(" in statement and not re.search(r"=\s*\{$|\w\s*\{$", statement):
                names.update(declared_in(statement, *scopes[-1]))  # a function ends with its brace
                statement = ""
        elif current is None:
            continue
        elif letter == ";":
            names.update(declared_in(statement, *current))
            statement = ""
        else:
            statement += letter
    return names
