"""The rows of the dashboards, one module each: a function that builds the row's panels, and what it needs.

Rows whose name begins with `key_` are on the dashboard of one key, the others on the overview;
`models` is on both.
"""
