import random

import pytest

from lockstep.autoconfig import csv_dialect, encodings, value_formats
from lockstep.errors import DataError

PLAIN = ["age,town,bought"] + [f"{20 + i},{'Köln' if i % 2 else 'Bonn'},{i % 2}" for i in range(40)]


def text(lines, encoding="utf-8"):
    return ("\n".join(lines) + "\n").encode(encoding)


WRITTEN = {
    "plain": (text(PLAIN), ("utf-8", ",", '"', True)),
    "B09-mark": (b"\xef\xbb\xbf" + text(PLAIN), ("utf-8", ",", '"', True)),
    "B10-utf-16": (text(PLAIN, "utf-16"), ("utf-16", ",", '"', True)),
    "B10-utf-16-without-mark": (text(PLAIN, "utf-16-le"), ("utf-16-le", ",", '"', True)),
    "B08-latin-1": (text(PLAIN, "latin-1"), ("cp1252", ",", '"', True)),
    "B14-crlf": (text(PLAIN).replace(b"\n", b"\r\n"), ("utf-8", ",", '"', True)),
    "B06-semicolons-and-commas": (
        text(["a;b", *[f"{i},5;{i % 7},25" for i in range(40)]]), ("utf-8", ";", '"', True),
    ),
    "tabs": (text(line.replace(",", "\t") for line in PLAIN), ("utf-8", "\t", '"', True)),
    "bars": (text(line.replace(",", "|") for line in PLAIN), ("utf-8", "|", '"', True)),
    "blanks": (text(f"  {i}.0   {i * 3}  {i % 2}" for i in range(40)), ("utf-8", r"\s+", "", False)),
    "no-header-of-numbers": (text(PLAIN[1:]), ("utf-8", ",", '"', False)),
    "no-header-of-words": (text([f"{'ab'[i % 2]},{'xyz'[i % 3]}" for i in range(40)]), ("utf-8", ",", '"', False)),
    "header-of-words": (text(["c,d", *[f"{'ab'[i % 2]},{'xy'[i % 2]}" for i in range(40)]]), ("utf-8", ",", '"', True)),
    "quoted": (
        text(["text,y", *[f'"one, ""two""\n{i % 3 * ","}three",{i % 2}' for i in range(40)]]),
        ("utf-8", ",", '"', True),
    ),
    "quotes-in-text": (
        text([f"{'ab'[i % 2]}\t{'' if i % 5 else chr(34)}word {i}" for i in range(40)]), ("utf-8", "\t", "", False),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sample", "expected"), WRITTEN.values(), ids=WRITTEN.keys())
def test_how_a_table_is_written(sample, expected):
    found = csv_dialect.inspect(sample, complete=True)
    assert (found.encoding, found.separator, found.quote, found.header) == expected
    assert {len(row) for row in found.rows} == {len(found.rows[0])}
    assert len(found.values) == 40


SPELLED = {
    "B33-comma": (["0,5", "12,25", "-3,1"], {"kind": "number", "decimal": ",", "thousands": ""}),
    "B33-points-and-comma": (["1.234,56", "999,10", "12.000,00"], {"decimal": ",", "thousands": "."}),
    "B33-always-points-and-comma": (["1.234,56", "2.999,10", "12.000,00"], {"decimal": ",", "thousands": "."}),
    "B33-commas": (["1,234", "999", "12,000,000"], {"decimal": ".", "thousands": ","}),
    "B33-swiss": (["1'234.5", "999", "12'000"], {"decimal": ".", "thousands": "'"}),
    "plain": (["1.5", "2", "1e3", "-.5"], {"decimal": ".", "thousands": ""}),
    "weights": (["1,5 kg", "2 kg", "3,25 kg"], {"kind": "number", "decimal": ",", "units": {"kg": 1.0}}),
    "money": (["$1,234.50 ", "$7", "$12,000"], {"thousands": ",", "units": {"$": 1.0}}),
    "percent": (["40%", "7%", "12.5%"], {"units": {"%": 1.0}}),
    "marked-by-a-word": (["1", "2", "unknown", "3", "4", "5", "6"], {"kind": "number", "missing": ("unknown",)}),
    "ranges": (["1", "2", "10-20", "3", "4", "5", "6", "7", "8", "9", "11"], {"kind": "number", "ranges": "middle"}),
    "words-and-numbers": (["1,5 kg", "2", "x"], None),
    "versions": (["1.2.3", "4.5.6"], None),
    "codes-with-letters": (["K1", "K22", "K31"], None),
    "postal-codes": (["02139", "10001", "00501"], {"kind": "text"}),
    "B34-day-first": (["31/12/2025", "01/02/2026"], {"kind": "date", "dates": ("%d/%m/%Y",)}),
    "B34-month-first": (["12/31/2025", "01/02/2026"], {"dates": ("%m/%d/%Y",)}),
    "B34-points-and-time": (["31.12.2025 23:59", "01.02.2026 00:00"], {"dates": ("%d.%m.%Y %H:%M",)}),
    "B34-year-1": (["0001/01/01", "2026/02/03"], {"dates": ("%Y/%m/%d",)}),
    "B34-iso": (["2025-12-31", "2026-02-01"], {"kind": "date", "dates": ("ISO8601",)}),
    "points-in-the-time": (["24-02-2015 00.37", "13-02-2015 01.14"], {"dates": ("%d-%m-%Y %H.%M",)}),
    "months": (["Feb-2015", "Apr-2015", "Dec-2016"], {"dates": ("%b-%Y",)}),
    "german-months": (["24. Februar 2015", "9. Mai 2015"], {"dates": ("%d. %b %Y",)}),
    "two-formats": (["01-13-07", "3/18/2009", "12-31-08", "4/1/2010"], {"dates": ("%m/%d/%Y", "%m-%d-%y")}),
    "two-formats-of-which-one-tells": (
        ["01-01-07", "02-03-08", "01-04-07", "3/18/2009", "12/31/2010"], {"dates": ("%m-%d-%y", "%m/%d/%Y")},
    ),
    "days-as-numbers-and-with-points": (
        ["20200506", "24.05.2022", "20210918", "20220203"], {"dates": ("%Y%m%d", "%d.%m.%Y")},
    ),
    "days-as-numbers": (["20150224", "20150402", "20150509", "20161231"], {"dates": ("%Y%m%d",)}),
    "epoch": ([str(1424736000 + i * 86399) for i in range(12)], {"kind": "epoch", "ticks": "s"}),
    "epoch-of-milliseconds": ([str(1424736000000 + i * 86399000) for i in range(12)], {"kind": "epoch", "ticks": "ms"}),
    "times-of-day": (["00:00:00", "13:37:00", "23:59:59"], {"kind": "time"}),
    "durations": (["0h 0m", "1h 1m", "26h 2m"], {"kind": "duration"}),
    "durations-of-a-clock": (["00:10:00", "36:15:00"], {"kind": "duration"}),
    "truth-in-many-words": (["Y", "true", "no", "Yes", "0", "N"], {"kind": "boolean"}),
    "one-label-in-many-cases": (["yes", "YES", "yes ", "no"] * 3, {"spellings": {"YES": "yes"}, "strip": True}),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "expected"), SPELLED.values(), ids=SPELLED.keys())
def test_how_cells_are_spelled(cells, expected):
    described = value_formats.inspect({"a": cells * 5, "b": ["x"] * 5 * len(cells)}).columns.get("a")
    assert (described is None) == (expected is None)
    for name, value in (expected or {}).items():
        assert getattr(described, name) == value


@pytest.mark.parametrize(
    ("cells", "name"), [(["31/12/2025", "01/02/2026"], "%d/%m/%Y"), (["12/31/2025", "01/02/2026"], "%m/%d/%Y")]
)
def test_the_order_of_day_and_month_is_one_for_the_file(cells, name):
    columns = value_formats.inspect({"a": ["01/02/2026", "03/04/2025"] * 5, "b": cells * 5}).columns
    assert columns["a"].dates == columns["b"].dates == (name,)


def test_a_date_that_no_value_tells_is_pointed_out():
    spelled = value_formats.inspect({"a": [f"0{1 + i % 9}/0{1 + i % 5}/2026" for i in range(20)]})
    assert spelled.columns["a"].dates == ("%d/%m/%Y",)
    assert "%d/%m/%Y or %m/%d/%Y" in spelled.decisions[-1].look


@pytest.mark.parametrize(("name", "says"), [("created", True), ("amount", False)])
def test_numbers_that_are_called_like_moments_are_pointed_out(name, says):
    spelled = value_formats.inspect({name: [str(1_424_736 + 133 * i) for i in range(50)]})
    assert spelled.columns[name].kind == "number"
    assert any("it stays a number" in choice.look for choice in spelled.decisions) == says


def test_blanks_after_commas_are_cut_off():
    spelled = value_formats.inspect({"a": ["1", "2"] * 20, " b": [" x", " y"] * 20, " c": [" ?", " 3"] * 20})
    assert (spelled.trim, spelled.missing[-1]) == (True, "?")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ["number", "date"])
def test_nearly_all_cells_decide_and_the_others_are_missing(kind, seed):
    draw = random.Random(seed)
    spell = {
        "number": lambda: f"{draw.uniform(0, 5000):,.2f}",
        "date": lambda: f"{draw.randint(13, 28)}.{draw.randint(1, 12):02d}.{draw.randint(1990, 2025)}",
    }[kind]
    odd = ["pending", "see note", "ask Ann", "~", "over there", "!!", "later", "31.31.2020", "12 or so"]
    cells = [draw.choice(odd) if draw.random() < 0.04 else spell() for _ in range(500)]
    described = value_formats.inspect({"a": cells}).columns["a"]
    assert described.kind == kind
    assert described.odd == "missing"
    half = [draw.choice(odd) + str(draw.randint(0, 99)) if draw.random() < 0.5 else spell() for _ in range(500)]
    assert "a" not in value_formats.inspect({"a": half}).columns


LANGUAGES = {
    "cp1252": "größe Straße schön müßig Köln Düsseldorf übel Tür gut schlecht",
    "cp1251": "очень плохой фильм хороший актер прекрасная музыка скучный сюжет отличный вечер номер",
    "koi8_r": "очень плохой фильм хороший актер прекрасная музыка скучный сюжет отличный вечер номер",
    "cp1253": "πολύ καλό ξενοδοχείο κακό δωμάτιο ωραία θέα άσχημη εξυπηρέτηση καθαρό μπάνιο",
    "gb18030": "非常 失望 位置 很好 房间 服务 太差 早餐 不错 干净 酒店 前台 态度 交通 方便 价格 便宜",
    "big5": "非常 失望 位置 很好 房間 服務 太差 早餐 不錯 乾淨 酒店 前台 態度 交通 方便 價格",
    "cp932": "とても 良い ホテル 部屋 が 狭い です サービス 最高 朝食 残念 駅 から 近い",
    "cp949": "아주 좋은 호텔 방이 좁아요 서비스 최고 아침 식사 실망 역에서 가까워요",
    "cp1250": "bardzo zły pokój łóżko źle świetny żona dzień książka miły czysty",
    "cp1255": "מלון טוב מאוד חדר נקי שירות גרוע ארוחת בוקר מצוינת",
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("encoding", LANGUAGES)
def test_an_encoding_is_read_right_or_asked(encoding, seed):
    draw = random.Random(seed)
    words = LANGUAGES[encoding].split()
    lines = [f"{' '.join(draw.choices(words, k=6))},{draw.choice(['pos', 'neg'])}" for _ in range(60)]
    text = "\n".join(["review,label", *lines])
    assert text.encode(encoding).decode(encodings.encoding(text.encode(encoding)).decided) == text


def test_of_encodings_that_fit_as_well_a_person_chooses():
    sample = "review,label\nnice ñ place,pos\n".encode("cp1252").replace(b"\xf1", b"\xf3\xa5\xb9")
    with pytest.raises(DataError) as refused:
        csv_dialect.inspect(sample, complete=True)
    assert "--encoding" in refused.value.hint
    assert csv_dialect.inspect(sample, True, csv_dialect.Stated("cp1250")).encoding == "cp1250"


AROUND = {
    "separator-line": (["sep=;", "a;b;y", *[f"{i};{i % 3};{'yn'[i % 2]}" for i in range(30)]], {"skip": 1}),
    "title": (["Report of sales 2024", "", *PLAIN], {"skip": 2}),
    "title-with-separators": (["Sales 2024,,", *PLAIN], {"skip": 1}),
    "comments": (["# exported 2024-01-01", "# by a tool", *PLAIN[:9], "# more", *PLAIN[9:]], {"comment": "#"}),
    "total": ([*PLAIN, "Total,,40"], {"footer": 1}),
    "single-quotes": (["'age','town','y'", *[f"'{i}','a, b','{i % 2}'" for i in range(30)]], {"quote": "'"}),
    "apostrophes": (["age,town,y", *[f"{i},rock 'n' roll,{i % 2}" for i in range(30)]], {"quote": '"'}),
    "numbers-of-items": (["#,town,y", *[f"{i},b,{i % 2}" for i in range(30)]], {"comment": ""}),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), AROUND.values(), ids=AROUND.keys())
def test_what_stands_around_the_rows(lines, expected):
    dialect = csv_dialect.inspect(text(lines), complete=True)
    assert {name: getattr(dialect, name) for name in expected} == expected
    assert dialect.header
    assert {len(row) for row in dialect.rows} == {3}
