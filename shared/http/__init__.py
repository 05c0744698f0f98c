"""Code that all HTTP clients share: limits on answers, silent loggers, and errors of Azure services as text."""
