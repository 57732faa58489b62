"""The library of pum 0.10, as a thin layer over this one."""
