"""Data sets that nobody tuned for, made up after the habits of well-known ones; each writes a file."""

import numpy as np


def adult(folder, rows=1200):
    """Mixed types, a comma and a blank between values, ` ?` for missing, no header; the target is the last column."""
    draw = np.random.default_rng(1)
    jobs, schools = ["Private", "State-gov", "Self-emp", "?"], ["HS-grad", "Bachelors", "Masters", "11th"]
    age, hours, school = draw.integers(17, 90, rows), draw.integers(10, 80, rows), draw.integers(0, 4, rows)
    weight = draw.integers(20_000, 900_000, rows)
    rich = draw.random(rows) < 1 / (1 + np.exp(-(0.06 * (age - 45) + 0.05 * (hours - 45) + 1.5 * (school == 2) - 1)))
    lines = [
        f"{age[i]}, {jobs[draw.integers(0, 4)]}, {weight[i]}, {schools[school[i]]}, {hours[i]}, "
        f"{'>50K' if rich[i] else '<=50K'}"
        for i in range(rows)
    ]
    return write(folder / "adult.data", lines), "6"


def wine(folder, rows=1000):
    """Semicolons and quoted names; seven ordered classes, the smallest with five rows."""
    draw = np.random.default_rng(2)
    sizes = {3: 20, 4: 60, 5: 0.35, 6: 0.4, 7: 0.17, 8: 40, 9: 5}
    quality = np.concatenate([[mark] * int(size if size >= 1 else size * rows) for mark, size in sizes.items()])
    draw.shuffle(quality)
    alcohol = 8 + 0.5 * (quality - 3) + draw.normal(0, 0.4, len(quality))
    acid = 9 - 0.3 * (quality - 3) + draw.normal(0, 0.6, len(quality))
    sulphates = draw.gamma(4, 0.12, len(quality))
    head = '"alcohol";"volatile acidity";"sulphates";"quality"'
    lines = [f"{a:.2f};{b:.3f};{c:.2f};{q}" for a, b, c, q in zip(alcohol, acid, sulphates, quality, strict=True)]
    return write(folder / "winequality.csv", [head, *lines]), "quality"


def telco(folder, rows=1000):
    """An identifier in front, and a column of numbers in which a blank stands for none."""
    draw = np.random.default_rng(3)
    tenure, monthly = draw.integers(0, 72, rows), draw.uniform(18, 118, rows).round(2)
    contract = draw.integers(0, 3, rows)
    leaves = draw.random(rows) < 1 / (1 + np.exp(0.08 * tenure - 0.03 * monthly + 1.2 * contract))
    named = ["Month-to-month", "One year", "Two year"]
    lines = [
        f"{1000 + i:04d}-{draw.integers(0, 99999):05X},{draw.integers(0, 2)},{tenure[i]},{named[contract[i]]},"
        f"{monthly[i]},{round(tenure[i] * monthly[i], 2) if tenure[i] else ' '},{'Yes' if leaves[i] else 'No'}"
        for i in range(rows)
    ]
    head = "customerID,SeniorCitizen,tenure,Contract,MonthlyCharges,TotalCharges,Churn"
    return write(folder / "telco.csv", [head, *lines]), "Churn"


def ames(folder, rows=700):
    """81 columns with words for missing, most of the categories rare, and a price."""
    draw = np.random.default_rng(4)
    area, quality = draw.integers(600, 4000, rows), draw.integers(1, 11, rows)
    price = (40 * area + 18_000 * quality + draw.normal(0, 12_000, rows)).astype(int)
    columns = {"Id": np.arange(1, rows + 1), "GrLivArea": area, "OverallQual": quality}
    columns["LotFrontage"] = np.where(draw.random(rows) < 0.2, "NA", draw.integers(20, 150, rows).astype(str))
    columns["PoolQC"] = np.where(draw.random(rows) < 0.9, "NA", draw.choice(["Gd", "Ex", "Fa"], rows))
    columns["MasVnrType"] = draw.choice(["None", "BrkFace", "Stone"], rows, p=[0.6, 0.3, 0.1])
    for number in range(40):
        columns[f"Class{number}"] = draw.choice(
            ["TA", "Gd", "Ex", "Fa", "Po", "NA"], rows, p=[0.5, 0.3, 0.1, 0.05, 0.03, 0.02]
        )
    for number in range(34):
        columns[f"Size{number}"] = draw.integers(0, 900, rows)
    columns["SalePrice"] = price
    lines = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return write(folder / "ames.csv", [",".join(columns), *lines]), "SalePrice"


def sms(folder, rows=800):
    """Two columns between tabs without a header; quotes stand in the text as they come, many of them alone."""
    draw = np.random.default_rng(5)
    ham = ["ok", "home", "later", "you", "tonight", "love", "come", "dinner", "sorry", "meeting", "call", "me"]
    spam = ["free", "win", "prize", "claim", "now", "cash", "urgent", "txt", "stop", "mobile", "150p", "reply"]
    lines = []
    for _ in range(rows):
        bad = draw.random() < 0.15
        words = list(draw.choice(spam if bad else ham, 14)) + list(draw.choice(ham, 4))
        words[0] = f'"{words[0]}' if draw.random() < 0.1 else words[0]
        lines.append(f"{'spam' if bad else 'ham'}\t{' '.join(words)}{draw.integers(0, 9999)}")
    return write(folder / "SMSSpamCollection.txt", lines), "1"


def german(folder, rows=600):
    """Decimal commas, points between thousands, dates with the day first, umlauts in Latin-1."""
    draw = np.random.default_rng(6)
    area = draw.uniform(30, 200, rows)
    rent = 9 * area + draw.normal(0, 60, rows) + 300
    town = draw.choice(["Köln", "Düsseldorf", "Bonn"], rows)

    def spelled(value):
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))

    lines = [
        f"{draw.integers(1, 29):02d}.{draw.integers(1, 13):02d}.20{draw.integers(10, 26)};{town[i]};"
        f"{spelled(area[i])};{spelled(rent[i] * 12)}"
        for i in range(rows)
    ]
    return write(folder / "mieten.csv", ["Datum;Ort;Fläche;Jahresmiete", *lines], "latin-1"), "Jahresmiete"


def write(path, lines, encoding="utf-8"):
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


UNKNOWN = {"adult": adult, "wine": wine, "telco": telco, "ames": ames, "sms": sms, "german": german}
