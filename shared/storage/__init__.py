"""Table Storage: the columns of every table, and the code that reads and writes them."""
