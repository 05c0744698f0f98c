"""The guidance catalogue: what each finding means and what to do about it, in words."""
