"""Table Storage: the columns of every table, and the protocol that reads and writes them."""
