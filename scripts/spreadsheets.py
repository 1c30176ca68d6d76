"""Write spreadsheets of one sheet, .xlsx and .ods, with nothing but the standard library."""

import datetime as dt
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

Cells = Iterable[Sequence[Any]]
EPOCH = dt.datetime(1899, 12, 30)
"""Day 0 of a spreadsheet's dates."""
TYPES = "application/vnd.openxmlformats-officedocument"
MAIN = "http://schemas.openxmlformats.org"
CONTENT_TYPES = (
    f'<Types xmlns="{MAIN}/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.spreadsheetml.sheet.main+xml"/>'
    f'<Override PartName="/xl/sheet.xml" ContentType="{TYPES}.spreadsheetml.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{TYPES}.spreadsheetml.styles+xml"/></Types>'
)
STYLES = (
    f'<styleSheet xmlns="{MAIN}/spreadsheetml/2006/main"><fonts count="1"><font/></fonts>'
    '<fills count="1"><fill/></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>'
)
"""Style 1 is a moment."""
ODF = "urn:oasis:names:tc:opendocument:xmlns"


def write(path: Path, sheet: str, rows: Cells) -> Path:
    """Write rows of texts, numbers, truth values, moments and None as the ending of the path says."""
    parts = PARTS[path.suffix](sheet, rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def _xlsx(sheet: str, rows: Cells) -> Mapping[str, str]:
    relation = f'<Relationship Id="%s" Type="{MAIN}/officeDocument/2006/relationships/%s" Target="%s"/>'
    package = f'<Relationships xmlns="{MAIN}/package/2006/relationships">%s</Relationships>'
    names = f'xmlns="{MAIN}/spreadsheetml/2006/main" xmlns:r="{MAIN}/officeDocument/2006/relationships"'
    lines = "".join(f"<row>{''.join(map(_xlsx_cell, row))}</row>" for row in rows)
    return {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": package % (relation % ("r1", "officeDocument", "xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": package
        % (relation % ("r1", "worksheet", "sheet.xml") + relation % ("r2", "styles", "styles.xml")),
        "xl/workbook.xml": f'<workbook {names}><sheets><sheet name={quoteattr(sheet)} sheetId="1" r:id="r1"/></sheets>'
        "</workbook>",
        "xl/styles.xml": STYLES,
        "xl/sheet.xml": f"<worksheet {names}><sheetData>{lines}</sheetData></worksheet>",
    }


def _xlsx_cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, dt.datetime):
        return f'<c s="1"><v>{(value - EPOCH) / dt.timedelta(days=1)!r}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def _ods(sheet: str, rows: Cells) -> Mapping[str, str]:
    names = " ".join(f'xmlns:{name}="{ODF}:{name}:1.0"' for name in ("office", "table", "text"))
    lines = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    entry = f"{ODF}:manifest:1.0"
    return {
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "META-INF/manifest.xml": f'<m:manifest xmlns:m="{entry}"><m:file-entry m:full-path="content.xml" '
        'm:media-type="text/xml"/></m:manifest>',
        "content.xml": f'<office:document-content {names} office:version="1.2"><office:body><office:spreadsheet>'
        f"<table:table table:name={quoteattr(sheet)}>{lines}</table:table></office:spreadsheet></office:body>"
        "</office:document-content>",
    }


def _ods_cell(value: Any) -> str:
    if value is None:
        return "<table:table-cell/>"
    kind, name, shown = "string", "", str(value)
    if isinstance(value, bool):
        kind, name, shown = "boolean", "boolean-value", str(value).lower()
    elif isinstance(value, dt.datetime):
        kind, name, shown = "date", "date-value", value.isoformat()
    elif isinstance(value, int | float):
        kind, name, shown = "float", "value", repr(value)
    typed = f' office:{name}="{shown}"' if name else ""
    text = f"<text:p>{escape(shown)}</text:p>"
    return f'<table:table-cell office:value-type="{kind}"{typed}>{text}</table:table-cell>'


PARTS: dict[str, Callable[[str, Cells], Mapping[str, str]]] = {".xlsx": _xlsx, ".ods": _ods}
