"""Attributions, one file each: ``grad_cam.py`` is ``grad-cam`` on the command line.

An attribution is a function with the name of its file, ``(classifier, pixels, target, *, settings) -> map``. Keyword
arguments are its settings, except four that the engine fills in for a method that names them:

- ``score``: what is differentiated, see ``core/scores.py``,
- ``layer``: a ``Layer`` to watch, chosen by the user or by probing,
- ``noise``: the rows' own random numbers, a ``RowNoise``,
- ``notes``: a dictionary in which the method may leave figures about its maps, one per row (N,).
"""
