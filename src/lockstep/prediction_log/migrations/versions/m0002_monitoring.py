"""Keep what was measured, what followed from it, and what was seen in the registry."""

import sqlalchemy as sa
from alembic import op

from lockstep.prediction_log.tables import SERIAL, required

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alerts",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        *required(sa.Text, "kind", "model", "version", "subject", "severity", "detail"),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("closed_us", sa.BigInteger(), nullable=True),
        sa.Column("open_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("open_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "jobs",
        *required(sa.Text, "id", "model", "state", "trigger", "reason"),
        sa.Column("asked_us", sa.BigInteger(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("beat_us", sa.BigInteger(), nullable=True),
        *required(sa.Text, "owner", "outcome", "version"),
        sa.Column("labelled_rows", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("active"),
    )
    op.create_index("jobs_by_time", "jobs", ["asked_us"], unique=False)
    op.create_table(
        "promotions",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        *required(sa.Text, "model", "at", "action", "version", "previous", "actor", "reason"),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("git_commit", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("model", "at", "action", "version", name="promotions_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "windows",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        *required(sa.Text, "model", "version", "kind"),
        *required(sa.BigInteger, "start_seq", "end_seq", "start_us", "end_us"),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model", "version", "kind", "start_seq", name="windows_once"),
        sqlite_autoincrement=True,
    )
