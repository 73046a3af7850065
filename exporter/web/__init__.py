"""The room that is seen from outside: sockets, TLS, passwords, slow visitors, and the pages served to them.

Knows ASGI applications, never what they tell.
"""
