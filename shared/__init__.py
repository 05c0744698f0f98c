"""ADE Token Monitor: reads the status of Apple tokens from Intune, and judges, stores, and publishes it."""

__version__ = "0.1.0"
