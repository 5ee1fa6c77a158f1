"""The life of a run, the same for every command: folder, grid, stream, ledger, report, plan and gates."""
