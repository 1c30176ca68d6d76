"""Three copies of the capstone project, made from facts of public ones: names of files, calls, params, manifests."""

import yaml

INGESTION = """
from sklearn.model_selection import train_test_split

def load_params(params_path):
    with open(params_path) as file:
        params = yaml.safe_load(file)
    return params

def load_data(data_url):
    return pd.read_csv(data_url)

def preprocess_data(df):
    final_df = df[df['sentiment'].isin(['positive', 'negative'])]
    final_df['sentiment'] = final_df['sentiment'].replace({'positive': 1, 'negative': 0})
    return final_df

def main():
    params = load_params(params_path='params.yaml')
    test_size = params['data_ingestion']['test_size']
    # test_size = 0.5
    READ
    final_df = preprocess_data(df)
    train_data, test_data = train_test_split(final_df, test_size=test_size, random_state=42)
"""
CLEANING = """
def preprocess_dataframe(df, col='text'):
    lemmatizer = WordNetLemmatizer()
    stop_words = set(stopwords.words("english"))
    def preprocess_text(text):
        text = re.sub(r'https?://\\S+|www', '', text)
        text = ''.join([char for char in text if not char.isdigit()])
        return ' '.join(lemmatizer.lemmatize(word) for word in text.lower().split())
    df[col] = df[col].apply(preprocess_text)
    return df.dropna(subset=[col])

train_processed_data = preprocess_dataframe(train_data, 'review')
"""
FEATURES = """
def apply_bow(train_data, test_data, max_features):
    vectorizer = CountVectorizer(max_features=max_features)
    X_train = train_data['review'].values
    y_train = train_data['sentiment'].values

def main():
    params = load_params('params.yaml')
    max_features = params['feature_engineering']['max_features']
    apply_bow(train_data, test_data, max_features)
"""
EVALUATION = """
dagshub_token = os.getenv("CAPSTONE_TEST")
dagshub_url = "https://dagshub.com"
repo_owner = "someone"
repo_name = "capstone"
mlflow.set_tracking_uri(f'{dagshub_url}/{repo_owner}/{repo_name}.mlflow')
mlflow.set_experiment("my-dvc-pipeline")
"""
APP = 'model_name = "my_model"\napp.run(debug=True, host="0.0.0.0", port=5000)\n'
CLUSTER = (
    "eksctl create cluster --name flask-app-cluster --nodegroup-name nodes --node-type t3.small --nodes 1 --managed\n"
)
URL = "https://raw.githubusercontent.com/someone/datasets/main/data.csv"
STAGES = ("data_ingestion", "data_preprocessing", "feature_engineering", "model_building", "model_evaluation")


def manifests(port=5000):
    """Return deployment.yaml: a Deployment and a Service of the type LoadBalancer."""
    key = {"secretKeyRef": {"name": "capstone-secret", "key": "CAPSTONE_TEST"}}
    image = "1.dkr.ecr.us-east-1.amazonaws.com/capstone-proj:latest"
    container = {"name": "flask-app", "image": image, "env": [{"name": "CAPSTONE_TEST", "valueFrom": key}]}
    pods = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    ports = {"type": "LoadBalancer", "ports": [{"protocol": "TCP", "port": port, "targetPort": 5000}]}
    return yaml.safe_dump_all([{"kind": "Deployment", "spec": pods}, {"kind": "Service", "spec": ports}])


def by_address():
    """Reads a CSV by its address; the way by S3 is a comment; the README creates no cluster."""
    read = f"df = load_data(data_url='{URL}')\n    # s3 = s3_operations('bucket', 'access', 'secret')"
    return {
        "params.yaml": "data_ingestion:\n  test_size: 0.3\nfeature_engineering:\n  max_features: 100\n",
        "dvc.yaml": yaml.safe_dump({"stages": {name: {} for name in (*STAGES, "model_registration")}}),
        "src/data/data_ingestion.py": INGESTION.replace("READ", read),
        "src/data/data_preprocessing.py": CLEANING,
        "src/features/feature_engineering.py": FEATURES,
        "src/model/model_building.py": "clf = LogisticRegression(C=1, solver='liblinear', penalty='l1')\n",
        "src/model/model_evaluation.py": EVALUATION,
        "flask_app/app.py": APP,
        "tests/test_model.py": "expected_accuracy = 0.40\nexpected_f1 = 0.40\nexpected_luck = 0.1\n",
        "deployment.yaml": manifests(),
        "README.md": "Capstone\n",
    }


def by_bucket():
    """Reads an object of a bucket that the environment names; one node; the merge of one file was never finished."""
    read = (
        "s3 = s3_operations(os.environ['BUCKET_NAME'], 'AKIA0', 'hidden')\n    df = s3.fetch_file_from_s3('data.csv')"
    )
    return by_address() | {
        "params.yaml": "data_ingestion: {test_size: 0.25}\nfeature_engineering: {max_features: 20}\nold: {depth: 3}\n",
        "src/data/data_ingestion.py": INGESTION.replace("READ", read),
        "src/model/model_building.py": "<<<<<<< HEAD\nclf = LogisticRegression(C=1)\n=======\n",
        "src/model/more.py": "clf = RandomForestClassifier(n_estimators=40, max_depth=depth, random_state=42)\n",
        "src/model/model_evaluation.py": EVALUATION.replace("CAPSTONE_TEST", "FILM_TOKEN"),
        "deployment.yaml": manifests(port=8080),
        "projectflow.txt": CLUSTER,
    }


def by_file():
    """Reads a file beside the notebooks; TF-IDF over pairs; dagshub.init; a stage of its own."""
    return by_address() | {
        "dvc.yaml": yaml.safe_dump({"stages": {name: {} for name in (*STAGES, "register_model", "draw_plots")}}),
        "src/data/data_ingestion.py": INGESTION.replace("READ", "df = pd.read_csv('notebooks/data.csv')"),
        "src/features/feature_engineering.py": FEATURES.replace("CountV", "TfidfV").replace(
            "max_features=max_features",
            "max_features=params['feature_engineering']['max_features'], ngram_range=(1, 2)",
        ),
        "src/model/model_evaluation.py": "dagshub.init(repo_owner='other', repo_name='films', mlflow=True)\n",
        "deployment.yaml": "kind: [\n",
    }


def write(folder, files):
    """Write the files of a copy, and return its folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
