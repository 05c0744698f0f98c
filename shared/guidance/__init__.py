"""The guidance catalogue: the meaning of each finding and its remedy, as text."""
