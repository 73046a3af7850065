"""Walk the pages of one account's list, and judge whether every key came.

Pages are cut by offset, newest key first, while keys are created and deleted. A creation moves
every later key down: one key comes twice, none is missing. A deletion moves the keys below it up:
one key crosses the border between two pages and is never seen.

`quick_walk` and `careful_walk` each begin with the rules of one way to deal with that. `walks`
chooses between the two, and `keys_read` is what both have read.
"""
