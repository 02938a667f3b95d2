"""Makes pages of the documentation from the code, and the site from the pages: `python -m handbook`, `make docs`."""
