from tests.pipeline.prepared import finished  # noqa: F401 - a fixture
