"""The app of this project: that of the installed library, to which blueprints and settings can be added here."""

from lockstep_app import create_app

__all__ = ["create_app"]
