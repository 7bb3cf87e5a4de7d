"""Steps that change words: scrub and swap, with what they need of English, names, proxies and protected places."""
