"""Reads a page of HTML from standard input as strictly as html5lib does, and prints as JSON what stands in it: its
elements and attributes, its ids, its texts without the style, tables and charts."""

import json
import sys

import html5lib

parser = html5lib.HTMLParser(namespaceHTMLElements=False)
page = parser.parse(sys.stdin.read())


def text(element):
    return "".join(element.itertext()).strip()


def name(element):
    return str(element.tag).rpartition("}")[2]


def children(element, wanted):
    return [child for child in element.iter() if name(child) == wanted]


elements = [element for element in page.iter() if isinstance(element.tag, str)]
print(json.dumps({
    "faults": [str(fault) for fault in parser.errors],
    "elements": sorted({name(element) for element in elements}),
    "attributes": sorted({f"{key.rpartition('}')[2]}={value}" for element in elements for key, value in element.attrib.items()}),
    "ids": [element.attrib["id"] for element in elements if "id" in element.attrib],
    "title": text(page.find("head/title")),
    "style": text(page.find("head/style")),
    "text": text(page.find("body")),
    "facts": [[text(child) for child in group] for group in page.iter("div") if group.find("dt") is not None],
    "tables": [
        {
            "caption": text(table.find("caption")),
            "rows": [[text(cell) for cell in row] for row in table.iter("tr")],
        }
        for table in page.iter("table")
    ],
    "charts": [
        {
            "title": text(children(svg, "title")[0]),
            "description": text(children(svg, "desc")[0]),
            "bars": [text(title) for group in children(svg, "g") for title in children(group, "title")],
        }
        for svg in elements if name(svg) == "svg"
    ],
}))
