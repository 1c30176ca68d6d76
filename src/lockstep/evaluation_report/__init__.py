"""The evaluation as one page for people: facts in, HTML out."""
