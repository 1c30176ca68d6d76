"""What the server calls in each of its processes; `lockstep serve` takes this module, also in the image."""

from lockstep_app.wsgi import build

__all__ = ["build"]
