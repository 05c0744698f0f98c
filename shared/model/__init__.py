"""Defines the nouns of the monitor: frozen values without I/O, which every other package uses."""
