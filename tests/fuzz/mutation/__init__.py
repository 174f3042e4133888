"""Changes of valid files that know their structure; each is a function of the file's bytes and a source of chance.

Chance is a `random.Random`: seeded by reader, seed and number in long runs, hypothesis' own in tests that shrink, and
libFuzzer's bytes where coverage guides.
"""
