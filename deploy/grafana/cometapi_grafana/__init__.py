"""The Grafana dashboards as code: four dashboards, built panel by panel.

Where to start reading: overview.py and one_key.py list the rows of the dashboards, and rows/ has
one module a row. expressions.py has the queries; panels.py, tables.py, key_tables.py and look.py
say how a result looks; dashboard.py, variables.py, links.py and annotations.py are the frame around
the panels. Pure: nothing here reads or writes files.
"""
