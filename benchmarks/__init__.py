"""Side-by-side measurements: ratios against bare HTTP, taken in the same run."""
