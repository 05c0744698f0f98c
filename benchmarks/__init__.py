"""Measures the app side by side with bare HTTP, in the same run."""
