"""Request admission: authentication, limits, CSRF, security headers, draining."""
