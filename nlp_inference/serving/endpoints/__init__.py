"""The endpoints: one file for each interface, with its routes."""
