"""Keep predictions, labels, and how many there were."""

import sqlalchemy as sa
from alembic import op

from lockstep.prediction_log.tables import SERIAL, required

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "labels",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        *required(sa.Text, "event", "prediction_id", "label"),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("event"),
        sqlite_autoincrement=True,
    )
    op.create_index("labels_of_prediction", "labels", ["prediction_id", "at_us"], unique=False)
    op.create_table(
        "latencies",
        *required(sa.Text, "model", "version", "variant"),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "variant", "minute", "bucket"),
    )
    op.create_index("latencies_by_minute", "latencies", ["minute"], unique=False)
    op.create_table(
        "losses",
        sa.Column("event", sa.Text(), nullable=False),
        *required(sa.BigInteger, "at_us", "count"),
        sa.PrimaryKeyConstraint("event"),
    )
    op.create_table(
        "predictions",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        *required(sa.Text, "model", "version", "variant", "key"),
        sa.Column("latency_us", sa.BigInteger(), nullable=False),
        sa.Column("row", sa.Text(), nullable=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=True),
        sa.Column("shares", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("predictions_by_time", "predictions", ["at_us"], unique=False)
    op.create_index("predictions_by_version", "predictions", ["model", "version", "variant", "seq"], unique=False)
    op.create_table(
        "traffic",
        *required(sa.Text, "model", "version", "variant"),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "variant", "minute", "label"),
    )
    op.create_index("traffic_by_minute", "traffic", ["minute"], unique=False)
