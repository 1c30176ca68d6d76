"""Keep the business value that came with a label."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a column that may be empty, so that a server of the release before writes on."""
    op.add_column("labels", sa.Column("value", sa.Float(53), nullable=True))
