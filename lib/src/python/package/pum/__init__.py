"""What Python deltas import when no pum package is installed for their Python."""
