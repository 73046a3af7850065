"""Prometheus exporter for the API keys of CometAPI accounts and compatible gateways.

Where to start: `app` puts everything together; `refresh.refresher` is the life of one account;
`exposition.catalogue` lists the metrics. Imports only go down, and modules in one layer do not know
each other; import-linter enforces it:

    __main__, cli      signals during the start; argv to exit code
    app                the composition root
    backfill/          the past, as a file for Prometheus to import
    watch              all accounts: refreshers, the current snapshot; what a reload changes
    refresh/, check, audit  the life of one account; the reports of --check and --audit
    settings/          what the user writes, or everything that is wrong with it
    cometapi/          how the vendor talks
    server/, site/     how the exporter is reached; what it answers
    demo/, logs        a simulated account; log lines, from a thread
    exposition/, account_notes      what a scrape gets, rendered when the data changes; oddities
    snapshot           what is known of each account
    key_filter, thresholds, shards  which keys are exposed, when to warn, who reads an account
    policies           what the user requires of keys, and which of it a key breaks
    credentials, strict_yaml, parsers               the token; YAML; text to value
    model, errors, files, formatting, workers, supervisor    what a key is and what can go wrong

The path of data: bytes -> cometapi.connections -> answer, wire (Page) -> paging (Listing) ->
refresh.refresher -> snapshot (AccountState) -> watch.publish -> exposition.rendering ->
exposition.scrape -> site.routes -> server.serve.
"""

__version__ = "0.1.0"
