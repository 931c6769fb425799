"""Devices and processes: the mesh, the layout of arrays on it, exchange between hosts, and their joint end."""
