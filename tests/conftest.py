def pytest_addoption(parser):
    parser.addoption("--all-rows", action="store_true", help="ask the form about every test row of the large data sets")
