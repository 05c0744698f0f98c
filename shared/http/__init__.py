"""What all HTTP clients share: bounds on answers, silent loggers, and errors of Azure services in words."""
