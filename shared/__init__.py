"""ADE Token Monitor: reads Apple token status from Intune, judges, stores, publishes."""

__version__ = "0.1.0"
