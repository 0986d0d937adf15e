"""What the market says: instruments, products, sessions, chains and events."""
