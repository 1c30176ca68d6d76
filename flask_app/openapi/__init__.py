"""The description of the API, by OpenAPI 3.1: every route, and what the models that serve take and give."""
