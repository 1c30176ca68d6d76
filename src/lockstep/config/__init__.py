"""Configuration: params.yaml and the settings of the environment."""
