"""The rows of the dashboards, a module each, with a function that builds the row's panels.

Rows whose name begins with `key_` are on the dashboard of one key, `exporter_health` and `months`
on those of the exporter and of spending, the others on the overview; `models` is on two.
"""
