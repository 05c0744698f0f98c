"""What an operator types. Not deployed."""
