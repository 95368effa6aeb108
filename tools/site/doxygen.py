"""What the public headers declare, read from Doxygen's XML: each declaration with its comment, in the order of its
header."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from plain_headers import MARK

TYPES = ("class", "struct", "union", "concept")


@dataclass
class Declaration:
    kind: str  # class, struct, concept, function, enum, enumerator, variable, typedef, define
    scope: str  # what stands before the last :: of its name
    name: str
    signature: str  # as Sphinx's C++ domain takes it, without the scope
    comment: ElementTree.Element | None
    line: int
    last_line: int
    requires: str = ""
    returns: str = ""
    members: list["Declaration"] = field(default_factory=list)
    page: str = ""  # of the reference
    place: str = ""  # the id of its anchor on that page
    deprecated: bool = False

    @property
    def path(self):
        return f"{self.scope}::{self.name}" if self.scope else self.name


def text_of(element):
    return "" if element is None else re.sub(r"\s+", " ", "".join(element.itertext())).strip()


def tidy(code):
    """Doxygen's spacing of templates and references, made the source's."""
    code = re.sub(r"< ", "<", code)
    code = re.sub(r" >", ">", code)
    code = re.sub(r" ([&*]+)", r"\1", code)
    code = re.sub(r"([&*])(\w)", r"\1 \2", code)
    return re.sub(r"\s+", " ", code).strip()


def without_condition(arguments):
    """Leaves out the condition of a noexcept: it is longer than all the rest, and says nothing to a reader."""
    start = arguments.find("noexcept(")
    if start < 0:
        return arguments
    depth = 0
    for position in range(start + len("noexcept"), len(arguments)):
        depth += (arguments[position] == "(") - (arguments[position] == ")")
        if depth == 0:
            return (arguments[:start] + arguments[position + 1:]).strip()
    return arguments


def comment_of(element):
    """The description that is not empty; Doxygen makes a short one of a comment of one paragraph."""
    for name in ("detaileddescription", "briefdescription"):
        found = element.find(name)
        if found is not None and text_of(found):
            return found
    return None


def template_of(element):
    found = element.find("templateparamlist")
    if found is None:
        return ""
    parameters = []
    for each in found.findall("param"):
        words = f"{text_of(each.find('type'))} {text_of(each.find('declname'))}".strip()
        default = text_of(each.find("defval"))
        parameters.append(tidy(words) + (f" = {tidy(default)}" if default else ""))
    return f"template<{', '.join(parameters)}> "


def initializer_of(element):
    """A short value, as `= value`."""
    value = text_of(element.find("initializer"))
    value = value.removeprefix("=").strip() if value.startswith("=") else value[1:-1].strip() if value[:1] == "{" else value
    return f" = {tidy(value)}" if value and len(value) < 40 else ""


def lines_of(element):
    location = element.find("location")
    line = int(location.get("declline") or location.get("line"))
    end = int(location.get("bodyend") or -1)
    return line, max(line, end)


def file_of(element):
    location = element.find("location")
    return None if location is None else (location.get("declfile") or location.get("file"))


def member(element, scope):
    kind, name = element.get("kind"), element.findtext("name").removesuffix(MARK)
    line, last_line = lines_of(element)
    made = Declaration(kind, scope, name, "", comment_of(element), line, last_line)
    of_type = tidy(text_of(element.find("type")))
    if kind == "function":
        made.returns = of_type
        words = [word for word in ("static", "explicit") if element.get(word) == "yes" and word not in of_type.split()]
        arguments = without_condition(tidy(element.findtext("argsstring") or "")).replace(")=", ") = ")
        made.signature = " ".join([*words, of_type, name]).replace("  ", " ").strip() + arguments
        made.signature = template_of(element) + made.signature
        made.requires = text_of(element.find("requiresclause"))
    elif kind == "variable":
        static = "static " if element.get("static") == "yes" and "static" not in of_type.split() else ""
        array = element.findtext("argsstring") or ""
        made.signature = f"{template_of(element)}{static}{of_type} {name}{array}{initializer_of(element)}"
    elif kind == "typedef":
        made.signature = f"{template_of(element)}{name} = {of_type}" if not of_type.startswith("std::void") else name
    elif kind == "enum":
        underlying = text_of(element.find("type"))
        made.signature = name + (f" : {underlying}" if underlying else "")
        made.members = [Declaration("enumerator", made.path, each.findtext("name"), each.findtext("name") + initializer_of(each),
                                    comment_of(each), line, line) for each in element.findall("enumvalue")]
    elif kind == "define":
        made.scope, made.signature = "", name
    return made


def is_shown(element):
    if element.get("prot") not in (None, "public") or element.get("kind") == "friend":
        return False
    if re.search(r"= ?delete", element.findtext("argsstring") or ""):
        return False
    name = element.findtext("name") or ""
    return bool(name) and not name.startswith("@")


def read(xml):
    """{header: its declarations}, nested types inside of their types."""
    headers, types = {}, {}
    for path in sorted(xml.glob("*.xml")):
        for compound in ElementTree.parse(path).getroot().findall("compounddef"):
            kind, full_name = compound.get("kind"), tidy(compound.findtext("compoundname") or "")
            if kind in TYPES and compound.get("prot") in (None, "public") and full_name.startswith("uring6::"):
                bare, angle, arguments = full_name.partition("<")
                scope, _, name = bare.rpartition("::")
                line, last_line = lines_of(compound)
                made = Declaration(kind, scope, name, template_of(compound) + name + angle + arguments, comment_of(compound),
                                   line, last_line)
                if kind == "concept":
                    made.requires = tidy(text_of(compound.find("initializer")).partition("= ")[2])
                made.members = [member(each, made.path) for each in compound.iter("memberdef") if is_shown(each)]
                types[full_name] = made
                headers.setdefault(file_of(compound), {})[full_name] = made
            elif kind in ("namespace", "file"):
                for each in compound.iter("memberdef"):
                    if is_shown(each) and (kind == "namespace" or each.get("kind") == "define"):
                        made = member(each, full_name if kind == "namespace" else "")
                        headers.setdefault(file_of(each), {})[each.get("id")] = made
    for full_name, made in types.items():  # a nested type stands inside of its type
        outer = types.get(made.scope)
        if outer is not None:
            outer.members.append(made)
            for of_header in headers.values():
                of_header.pop(full_name, None)
    for made in types.values():
        made.members.sort(key=lambda each: each.line)
    return {header: sorted(of_header.values(), key=lambda each: each.line) for header, of_header in headers.items()}
