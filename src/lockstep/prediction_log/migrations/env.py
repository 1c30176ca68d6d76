"""What Alembic runs: the migrations, on the connection and in the transaction that `Store.open` gives."""

from alembic import context

from lockstep.prediction_log.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
