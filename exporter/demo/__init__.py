"""The room that pretends: a simulated account behind an API of its own."""
