from scripts import image_size


def test_large_parts_come_first_and_small_ones_together():
    sizes = {"scipy": 97_000_000, "boto3": 1_000_000, "botocore": 3_500_000, "six": 40_000, "idna": 60_000}
    told = [(name, round(size, 2)) for name, size in image_size.rows(sizes)]
    assert told == [("scipy", 97.0), ("boto3", 4.5), ("2 others", 0.1)]
