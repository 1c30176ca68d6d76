"""Store who gave a label, and the reviews of labels."""

import sqlalchemy as sa
from alembic import op

from lockstep.prediction_log.tables import SERIAL, required

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add a column that may be empty, so that a server of the release before writes on, and a table."""
    op.add_column("labels", sa.Column("author", sa.Text, nullable=True))
    op.create_table(
        "label_reviews",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        *required(sa.Text, "model", "author", "actor", "reason"),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
