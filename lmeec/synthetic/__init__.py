"""Synthetic takes: 3D tabletop scenes with exact masks, to try, test and train ego-exo correspondence on.

`scene.make_scene` draws a scene from a seed, `render.Renderer` renders frames of it in memory at any size, and
`writer.write_dataset` puts whole takes on disk in the release layout.
"""
