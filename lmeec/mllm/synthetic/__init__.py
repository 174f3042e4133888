"""Clips of synthetic takes with true sentences and questions, for the model nano.

Only the frames that a clip's few looks need are drawn, of both views at the same instants, and kept on disk for all
epochs. The setting is one in which the exo view knows more: the ego camera has the wide lens of Aria's glasses and is
blurred, the exo camera stands close to the table and is sharp. docs/exo2ego.md says what is measured on it; setting,
seeds and measure were set before anything was trained.
"""
