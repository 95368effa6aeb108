"""Sphinx's settings for the site; build.py copies this file to the root of the sources."""

import re

from docutils import nodes, utils

project = "uring6"
author = "the authors of uring6"
root_doc = "index"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = []
html_theme = "furo"
html_title = "uring6"
# Debian 12's furo has the colors of its dark mode for the switch alone, and not for a browser that prefers them.
html_theme_options = {"dark_css_variables": {
    "color-problematic": "#ee5151",
    "color-foreground-primary": "#ffffffcc",
    "color-foreground-secondary": "#9ca0a5",
    "color-foreground-muted": "#81868d",
    "color-foreground-border": "#666666",
    "color-background-primary": "#131416",
    "color-background-secondary": "#1a1c1e",
    "color-background-hover": "#1e2124ff",
    "color-background-hover--transparent": "#1e212400",
    "color-background-border": "#303335",
    "color-background-item": "#444",
    "color-brand-primary": "#2b8cee",
    "color-brand-content": "#368ce2",
    "color-highlighted-background": "#083563",
    "color-api-keyword": "#9ca0a5",
    "color-highlight-on-target": "#333300",
    "color-admonition-background": "#18181a",
}}
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_css_files = ["uring6.css"]
html_static_path = ["_static"]
# Links such as design.md#3-receiving.
myst_heading_anchors = 4
primary_domain = "cpp"
highlight_language = "none"


def declared(name, rawtext, text, lineno, inliner, options=None, content=()):
    """The role :declared:`word <page#place>`: a word in code that leads to its place in the reference. Sphinx's own roles
    cannot choose between overloads."""
    word, page, place = re.fullmatch(r"(.+) <([^<>#]+)#([^<>]+)>", utils.unescape(text)).groups()
    environment = inliner.document.settings.env
    uri = environment.app.builder.get_relative_uri(environment.docname, f"reference/{page}")
    reference = nodes.reference(rawtext, "", internal=True, refuri=f"{uri}#{place}")
    reference += nodes.literal(word, word)
    return [reference], []


def setup(app):
    app.add_role("declared", declared)
