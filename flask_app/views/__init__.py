"""One file a concern: routes and what they answer."""
