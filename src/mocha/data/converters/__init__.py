"""Data sets and conversions: from the files that people have to the HDF5 files that data layers read."""
