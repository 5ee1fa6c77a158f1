"""Attacks, one file each: the file's name is the attack's name on the command line (``my_attack.py`` is ``my-attack``).

An attack is a frozen dataclass whose fields are its settings, with a start and a step over rows. It sees the
classifier through logits and ``vjp`` alone; it owns no loop, no device, no precision and no test of success.
"""
