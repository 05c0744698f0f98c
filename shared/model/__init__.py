"""The nouns of the monitor: frozen values without I/O, in which every other package speaks."""
