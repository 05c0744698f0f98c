"""The pure core: which findings hold for a token, and which alerts follow, as of a clock that is passed in."""
