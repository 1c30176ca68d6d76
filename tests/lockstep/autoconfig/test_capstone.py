import pytest

from lockstep.autoconfig.capstone import Capstone
from lockstep.errors import ConfigError
from tests.lockstep.autoconfig import capstones


@pytest.fixture
def read(tmp_path):
    """Return the facts of a copy, and what was not taken as `about: why`."""

    def facts(files, source=""):
        found = Capstone(capstones.write(tmp_path / "copy", files)).facts(source)
        return found, {choice.about: choice.why for choice in found["not_taken"]}

    return facts


def test_a_copy_that_reads_an_address(read):
    facts, untaken = read(capstones.by_address())
    assert facts["source"] == capstones.URL
    assert facts["split"] == {"method": "random", "test_size": 0.3, "seed": 42}, "that of params.yaml"
    assert (facts["target"], facts["text"]) == ("sentiment", "review")
    assert facts["labels"] == {"positive": "1", "negative": "0"}
    assert (facts["positive"], facts["kept_labels"]) == ("1", ["1", "0"])
    cleaning = ["strip_urls", "strip_digits", "lowercase"]
    assert facts["terms"] == {"clean": cleaning, "ngrams": [1, 1], "min_documents": 1, "max_terms": 100}
    estimator = {"estimator": "logistic_regression", "params": {"C": 1, "solver": "liblinear"}}
    assert facts["candidates"] == [estimator]
    assert facts["floors"] == {"accuracy": 0.4, "f1": 0.4}
    assert (facts["model_name"], facts["experiment"]) == ("my_model", "my-dvc-pipeline")
    assert (facts["dagshub"], facts["token"]) == ("someone/capstone", "CAPSTONE_TEST")
    assert (facts["port"], facts["nodes"]) == (5000, "")
    assert set(untaken) == {"CountVectorizer", "LogisticRegression: penalty", "cleaning of texts"}


def test_a_copy_that_reads_a_bucket(read):
    facts, untaken = read(capstones.by_bucket(), "s3://films/data.csv")
    assert facts["source"] == "s3://films/data.csv"
    assert facts["candidates"] == [{"estimator": "random_forest", "params": {"n_estimators": 40}}]
    assert (facts["token"], facts["port"]) == ("FILM_TOKEN", 8080)
    assert (facts["nodes"], facts["small"]) == ("1 x t3.small", True)
    assert "no valid Python in line 1" in untaken["src/model/model_building.py"]
    assert "RandomForestClassifier: max_depth" in untaken, "its value stands nowhere"
    assert "no Python file reads it" in untaken["params.yaml: old.depth"]
    assert "IAM" in untaken["access keys in the code"]
    assert "hidden" not in str(facts)


def test_a_copy_that_reads_a_file(read, tmp_path):
    facts, untaken = read(capstones.by_file() | {"notebooks/data.csv": "review,sentiment\n"})
    assert facts["source"] == str(tmp_path / "copy/notebooks/data.csv")
    assert (facts["terms"]["ngrams"], facts["terms"]["max_terms"]) == ([1, 2], 100)
    assert (facts["dagshub"], facts["token"]) == ("other/films", "")
    assert "valid YAML in line 2" in untaken["deployment.yaml"]
    assert "dvc.yaml: draw_plots" in untaken
    assert "CountVectorizer" not in untaken


def test_a_bucket_in_the_code_is_part_of_the_address(read):
    ingestion = capstones.by_bucket()["src/data/data_ingestion.py"].replace("os.environ['BUCKET_NAME']", "'films'")
    facts, _ = read(capstones.by_bucket() | {"src/data/data_ingestion.py": ingestion})
    assert facts["source"] == "s3://films/data.csv"


def test_a_value_is_followed_through_names_and_arguments(read):
    through = capstones.FEATURES.replace("    vectorizer", "    most = max_features\n    vectorizer")
    through = through.replace("(max_features=max_features)", "(max_features=most)")
    facts, _ = read(capstones.by_address() | {"src/features/feature_engineering.py": through})
    assert facts["terms"]["max_terms"] == 100


def test_two_nodes_are_not_small(read):
    note = {"projectflow.txt": capstones.CLUSTER.replace("--nodes 1", "--nodes 2")}
    facts, _ = read(capstones.by_address() | note)
    assert (facts["nodes"], facts["small"]) == ("2 x t3.small", False)


def test_a_share_that_no_file_says_is_told(read):
    facts, untaken = read(capstones.by_address() | {"params.yaml": "data_ingestion: {test_size: few}\n"})
    assert facts["split"]["test_size"] == 0.25
    assert {"train_test_split: test_size", "CountVectorizer: max_features"} <= set(untaken)


def test_a_table_without_texts(read):
    fit = "X_train = df.drop(columns=['churned', 'id'])\ny_train = df['churned']\n"
    own = {"src/data/data_ingestion.py": "df = pd.read_csv('https://a.test/b.csv')\n", "src/model/fit.py": fit}
    facts, untaken = read(own)
    assert (facts["target"], facts["text"], facts["ignore"], facts["terms"]) == ("churned", "", ["id"], {})
    assert facts["candidates"] == [{"estimator": "logistic_regression"}]
    assert "the estimator" in untaken


def test_nothing_of_the_copy_runs(read, tmp_path):
    ran = tmp_path / "ran"
    read(capstones.by_address() | {"src/evil.py": f"open({str(ran)!r}, 'w')\n", "src/__init__.py": "1 / 0\n"})
    assert not ran.exists()


@pytest.mark.parametrize(
    ("files", "fault", "hint"),
    [
        ({"README.md": ""}, "no copy of the capstone project", "lockstep init FILE"),
        ({"src/a.py": "x = 1\n"}, "no file says where the data are", "--source"),
        (capstones.by_bucket(), "a bucket that only the environment names", '--source "s3://$BUCKET_NAME/data.csv"'),
        ({"src/a.py": "pd.read_csv('https://a.test/b.csv')\n"}, "which column holds the labels", "--target COLUMN"),
        ({**capstones.by_address(), "src/features/feature_engineering.py": "CountVectorizer()\n"}, "the texts", "init"),
    ],
)
def test_what_is_missing_is_one_line(read, files, fault, hint):
    with pytest.raises(ConfigError) as caught:
        read(files)
    assert fault in str(caught.value)
    assert hint in str(caught.value.hint)
    assert "\n" not in str(caught.value)
