"""Hide how the vendor talks: API variants, paging, HTTP, rate limit and retries."""
