import pytest

from lockstep.html import formatting

SPELLED = [
    (formatting.moment, 1_795_269_600.0, "2026-11-21 14:00 UTC"),
    (formatting.machine, 0.0, "1970-01-01T00:00:00+00:00"),
    (formatting.listed, "2026-11-21T14:00:59.123+00:00", "2026-11-21 14:00"),
    (formatting.duration, -3.0, "0 s"),
    (formatting.duration, 119.0, "119 s"),
    (formatting.duration, 7_300.0, "2 h"),
    (formatting.duration, 86_400.0 * 3, "3 days"),
    (formatting.number, 0.0, "0"),
    (formatting.number, 12_345.6, "12,346"),
    (formatting.number, 1e-9, "1.00e-09"),
    (formatting.number, -0.123456, "-0.1235"),
    (formatting.metric, 0.95, "0.950"),
    (formatting.metric, 68_000.0, "68,000"),
    (formatting.probability, 0.0, "< 0.0001"),
    (formatting.probability, 0.04999, "0.0500"),
    (formatting.percent, 0.00001, "< 0.1\u202f%"),
    (formatting.percent, 0.99999, "> 99.9\u202f%"),
    (formatting.percent, 1.0, "100.0\u202f%"),
    (formatting.count, 9_999, "9,999"),
    (formatting.count, 12_340, "12.3\u202fk"),
    (formatting.count, 1_204_331, "1.2\u202fM"),
    (formatting.milliseconds, 0.612, "0.61 ms"),
    (formatting.size, 81_920, "80 KiB"),
]


@pytest.mark.parametrize(("spell", "value", "text"), SPELLED)
def test_values_are_written_for_people(spell, value, text):
    assert spell(value) == text


@pytest.mark.parametrize(("bucket_s", "text"), [(60, "14:00"), (3_600, "21 Nov 14:00"), (86_400, "21 Nov")])
def test_buckets_are_named_as_finely_as_they_are(bucket_s, text):
    assert formatting.clock(1_795_269_600.0, bucket_s) == text
