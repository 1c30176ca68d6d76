"""The prediction service: answers, response cache, explanation, feedback."""
