"""Lockstep: the library that both the pipeline stages and the app import; importing it pins the numeric libraries."""

from lockstep import numeric_pins

numeric_pins.pin()
