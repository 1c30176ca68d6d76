"""The data report: facts about the rows before training."""
