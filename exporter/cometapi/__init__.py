"""The room that hides how the vendor talks: dialects, paging, HTTP, pace and retries."""
