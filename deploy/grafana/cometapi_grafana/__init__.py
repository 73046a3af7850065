"""The Grafana dashboards as code: two dashboards, built panel by panel.

Where to start reading: overview.py and one_key.py are the dashboards; expressions.py has the
queries; look.py, targets.py, panels.py and tables.py say how an answer looks; variables.py,
annotations.py and links.py are the frame around the panels. Pure: nothing here reads or writes
files.
"""
