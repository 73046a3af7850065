"""Prometheus exporter for the API keys of CometAPI and New API accounts.

Where to start: `app` puts everything together; `refresher` is the life of one account; `catalogue` lists the metrics.
Imports only go down, and modules in one layer do not know each other; import-linter enforces it (see pyproject.toml):

    __main__                                    argv to exit code
    app                                         the composition root
    watch, reload                               all accounts: clients, refreshers, the current snapshot
    settings, config_file, texts, options       what the user wrote, or everything that is wrong with it
    check                                       the report of --check
    refresher, account_reader                   the life of one account
    cometapi/                                   how the vendor talks
    server/                                     how the exporter is reached
    site/                                       what the exporter answers
    demo/                                       a simulated account
    logs                                        log lines, from a thread
    exposition, rendering, telemetry            what a scrape gets; rendered when the data changes
    catalogue, parsers, report                  one row a metric family; text to value; what is logged of a refresh
    snapshot, credentials, strict_yaml          what is known of each account; the token; YAML with places
    model, errors, schedule, filters, files, workers, stretches

The path of data: bytes -> cometapi.exchange -> answer, wire (Page) -> paging (Listing) -> refresher ->
snapshot.succeeded (AccountState) -> watch.publish -> rendering -> exposition -> site.routes -> server.serve -> bytes.
"""

__version__ = "0.1.0"
