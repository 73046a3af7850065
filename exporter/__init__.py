"""Prometheus exporter for the API keys of CometAPI accounts and compatible gateways.

Where to start: `app` puts everything together; `refresh.refresher` is the life of one account;
`exposition.catalogue` lists the metrics. Imports only go down, and modules in one layer do not know
each other; import-linter enforces it:

    __main__, cli         signals during the start; the command line and exit codes
    app                   the composition root
    reloading, backfill/  one reload at a time; the past, as a file for Prometheus to import
    watch                 all accounts: refreshers, the current snapshot
    refresh/, check, audit     the life of one account; the reports of --check and --audit
    settings/             what the user writes, or everything that is wrong with it
    cometapi/             the vendor's API
    server/, site/        how the exporter is reached; what it responds
    demo/, logs           simulated accounts; log lines, from a thread
    exposition/, account_notes  what a scrape gets; an account's state and oddities in words
    snapshot              what is known of each account
    dryness, purses, policies, thresholds  judgements about keys and accounts
    bounds, key_filter, shards  how much is exposed, which keys, whose accounts
    changes, endpoint     what people changed about keys; what is known of one endpoint
    credentials, strict_yaml, parsers      the token; YAML; text to value
    model, errors         what a key is; what can go wrong
    files, formatting, patterns, problems  files, words, expressions and mistakes of the user
    workers, descriptors, supervisor       threads, file descriptors, systemd
    allocator                              memory that the C library gives back

docs/architecture.md says what each module is for, and lists the mutable state.

The path of data: bytes -> cometapi.connections -> answer, wire (Page) -> paging (Listing) ->
refresh.refresher -> snapshot (AccountState) -> watch.publish -> exposition.rendering ->
exposition.scrape -> site.routes -> server.serve.
"""

__version__ = "0.1.0"
