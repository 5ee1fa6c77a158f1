"""Attributions, one file each: ``grad_cam.py`` is ``grad-cam`` on the command line.

An attribution is a function with the name of its file, ``(view, target, *, settings) -> maps``:

- ``view``: a ``models.view.View`` of the images. Logits, the gradient at the pixels and, of what the method watches,
  activations and gradients are read there and shared with other methods. Other pixels go through
  ``view.classifier.sweep``, which keeps memory flat and results independent of the batch.
- ``target``: a ``core.scores.Target``, the class and the score to explain for each image.
- The result is a signed (N, H, W), in float64 as it comes from the view (``_run.py`` rounds it, once).

Keyword arguments are its settings, except four that are filled in for a method that names them:

- ``layer``: a ``Layer`` to watch, chosen by the user or by probing,
- ``noise``: the images' own random numbers, a ``SampleNoise``,
- ``notes``: a dictionary in which the method may leave figures about its maps, one per image (N,),
- ``flags``: a dictionary for what a reader should be told of single maps, by name, such as ``incomplete``: bool (N,).

Beside the function its module declares ``TRAITS`` (``core.attribution.Traits``) and, where a network may not suit the
method, ``refusal(classifier) -> str | None``: the reason, and a method that can.
"""
