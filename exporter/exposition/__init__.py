"""What a scrape gets: which families there are, how they are rendered, and when. Knows no HTTP."""
