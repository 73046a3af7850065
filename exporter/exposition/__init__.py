"""What a scrape gets: which families there are, and how they are rendered when data changes. Knows no HTTP."""
