"""Shared parts of HTML pages: inline SVG charts, number formatting, templates."""
