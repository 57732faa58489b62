"""The part of pum that Python deltas build on."""
