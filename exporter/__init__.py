"""Watch every API key of CometAPI and New API accounts, for Prometheus.

Where to start: `app` puts everything together; `refresher` is the life of one account; `metrics` says what is served.
The floors (imports only go down; neighbours on one floor are strangers; held by import-linter, see pyproject.toml):

    __main__                                    argv to exit code
    app                                         the composition root
    watch                                       all accounts: clients, refreshers, the snapshot, the exposition
    settings                                    what the user wrote, or all that is wrong with it
    options, config_file, check                 tables and texts
    refresher | cometapi/ | web/ | demo/ | logs the refreshes; how the vendor talks; how we are served; how we pretend
    exposition                                  what a scrape is answered
    rendering                                   done when the data changes, not when somebody asks
    metrics | telemetry                         a snapshot becomes families; the process's own counters
    catalogue | parsers                         what each family is; how an option's text is read
    snapshot | credentials                      what is known of each account; the token, out of sight
    schedule | heartbeat | durations | model | errors

The one path of data: bytes -> cometapi.exchange.fetch -> Answer -> wire.parse_page -> Page -> paging.Walk -> Listing ->
refresher -> snapshot.succeeded -> AccountState -> metrics -> rendering.render -> exposition -> bytes -> web.site.
"""

__version__ = "0.1.0"
