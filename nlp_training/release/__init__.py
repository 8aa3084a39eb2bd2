"""What leaves this machine: which files, and how they reach the Hub."""
