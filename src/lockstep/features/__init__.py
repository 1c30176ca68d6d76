"""How columns become numbers."""
