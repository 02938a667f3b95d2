"""The recipe: a module for each section, and the reading of the file. Importing this room loads no heavy library."""
