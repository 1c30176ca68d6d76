from types import SimpleNamespace

from lockstep import paths
from lockstep.commands import predict
from lockstep.config.params import DataIngestion, Reader
from lockstep.data.schema import Column
from lockstep.data.sources import read
from lockstep.inference import batch

READER = {
    "separator": ";",
    "decimal": ",",
    "thousands": ".",
    "quote": "",
    "trim": True,
    "missing": ["", "?"],
    "dates": {"day": "%d.%m.%Y"},
}
TEXT = 'job; pay;day\n Sales ; 1.234,5;31.01.2026\n?; 7,25;?\n "A" or B;8;01.02.2026\n'


def test_a_file_to_score_is_read_as_the_source_is(project, tmp_path):
    """What the reader says of the source holds for the rows to score, so that they mean what they meant in training."""
    path = tmp_path / "rows.csv"
    path.write_text(TEXT)
    text = paths.PARAMS.read_text()
    assert text.count("  # reader: {") == 1
    start = text.index("  # reader: {")
    paths.PARAMS.write_text(
        f"{text[:start]}  reader: {READER}\n".replace("True", "true") + text[text.index("\n", start) :]
    )
    kinds = {"job": "categorical", "pay": "numeric", "day": "date"}
    schema = SimpleNamespace(columns=[Column(name, kind, True, None) for name, kind in kinds.items()], reader=None)
    (piece,) = batch.pieces(path, schema, predict._reader())
    trained = read.read(DataIngestion(source=str(path), reader=Reader(**READER))).frame
    assert piece.astype(object).where(piece.notna(), None).to_dict("list") == {
        "job": ["Sales", None, '"A" or B'],
        "pay": [1234.5, 7.25, 8.0],
        "day": ["2026-01-31", None, "2026-02-01"],
    }
    assert piece.astype(object).equals(trained.astype(object))
