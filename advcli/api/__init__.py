"""The toolkit from Python: ``advcli.load``, ``advcli.attack`` and ``advcli.explain`` on tensors and arrays."""
