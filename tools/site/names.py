"""Finds the declaration that a word of a text names, and the place of the site that describes it."""

import re

HEADER = re.compile(r"uring6/([\w/]+)\.hpp")
# What a page writes in code: `read_from`, `pc.stats()`, `co_await u6::sleep_for(1s)`, `channel<T>`.
CALL = re.compile(
    r"(?:co_await )?(?:(?:u6|uring6)::)?(?:(?P<object>\w+)\.)?(?P<name>[A-Za-z_]\w*(?:::\w+)*)(?:<[\w:, …]*>)?"
    r"(?P<call>\((?:[^()]|\([^()]*\))*\))?"
)
# The types of the objects that the pages give these names.
OBJECTS = {
    "pc": "packet_conn",
    "loop": "event_loop",
    "scope": "scope",
    "group": "loop_group",
    "keeper": "group_keeper",
    "link": "memory_link",
    "bridge": "asio_bridge",
}
# These have members of the same names as the type that they stand in for.
STAND_INS = {"memory_socket", "datagram_socket"}


class Names:
    """All public names. Each declaration gets the page and the place of the site that describe it."""

    def __init__(self, pages):
        """`pages`: {page: its declarations}."""
        self.pages = set(pages)
        self.overloads = {}  # {full name: its declarations}
        self.owners = {}  # {name of a member: {its type: its declarations}}
        places = set()
        for page, declared in pages.items():
            self.add(page, declared, places)

    def add(self, page, declared, places):
        for each in declared:
            each.page, each.place = page, place_of(each.path, places)
            if not each.deprecated:
                self.overloads.setdefault(each.path, []).append(each)
            if each.kind in ("function", "variable") and not each.deprecated:
                self.owners.setdefault(each.name, {}).setdefault(each.scope, []).append(each)
            self.add(page, each.members, places)

    def seen_from(self, word, scope, page):
        """What the word names in the scope of a declaration of a page, or None."""
        word = word.removesuffix("()")
        parts = scope.split("::")
        for count in range(len(parts), -1, -1):
            full = "::".join([*parts[:count], word])
            if count and parts[count - 1] == word:
                full = "::".join(parts[:count])  # the type, and not its constructor
            if full in self.overloads:
                return one_of(self.overloads[full], page)
        return self.member(word)

    def member(self, name, kinds=("function",)):
        """The member that only one type has, or None."""
        owners = {scope: found for scope, found in self.owners.get(name, {}).items()
                  if found[0].kind in kinds and scope.rpartition("::")[2] not in STAND_INS}
        return one_of(*owners.values(), "") if len(owners) == 1 else None

    def of_text(self, code):
        """What a piece of code in a page of the guide names, or None."""
        parts = CALL.fullmatch(code)
        if not parts:
            return None
        name = parts["name"]
        if parts["object"]:
            of_object = OBJECTS.get(parts["object"])
            return one_of(self.overloads.get(f"uring6::{of_object}::{name}", []), "") if of_object else None
        free = one_of(self.overloads.get(f"uring6::{name}", []) or self.overloads.get(name, []), "")
        member = self.member(name, ("function", "variable"))
        if parts["call"] and free and free.kind != "function":  # a type and a member have this name
            return member or free
        return free or member

    def target_of_text(self, code):
        """page#place for what a piece of code in a page names; None."""
        header = HEADER.fullmatch(code)
        if header:
            return f"{header[1]}#header-{re.sub('[/_]', '-', header[1])}" if header[1] in self.pages else None
        found = self.of_text(code)
        return f"{found.page}#{found.place}" if found else None


def place_of(path, taken):
    """The id of a declaration on its page. Overloads are counted."""
    base = "name-" + re.sub(r"[^a-z0-9]+", "-", path.removeprefix("uring6::").lower()).strip("-")
    place, count = base, 1
    while place in taken:
        count += 1
        place = f"{base}-{count}"
    taken.add(place)
    return place


def one_of(overloads, page):
    """The overload that a name without parameters means: the first with a comment, on the page that uses the name. None
    if other pages have them, and more than one."""
    here = [each for each in overloads if each.page == page]
    if not here and len({each.page for each in overloads}) != 1:
        return None
    candidates = here or overloads
    return next((each for each in candidates if each.comment is not None), candidates[0])
